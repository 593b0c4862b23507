// A pasted message may hold what the search takes for its own syntax (`--port`, `127.0.0.1:`): it finds nothing then.
const send = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...more) {
  const query = message && message.type === 2 && typeof message.data === "string"; // Material's QUERY
  return send.call(this, query ? {...message, data: message.data.replace(/-{2,}|[:^~*]/g, " ")} : message, ...more);
};
