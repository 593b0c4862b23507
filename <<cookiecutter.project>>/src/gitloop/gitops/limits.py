"""A report that fits into a comment: what is long is shortened first, then left out, and the report says so."""

from __future__ import annotations

from collections.abc import Sequence

from gitloop.gitops.markdown import Part, plain, render

# GitHub refuses a comment of more than 65,536 characters. Counted in bytes, which are never fewer, and with room for
# what marks the comment as ours.
LIMIT = 60_000


def fit(head: str, parts: Sequence[Part], limit: int = LIMIT) -> str:
    """The head, whole, and of the parts as much as fits into `limit` bytes of UTF-8.

    The longest part is shortened first; where all are short, parts are left out from the end.
    """
    texts = [render(part) for part in parts]
    shortened: set[int] = set()
    gone: set[int] = set()

    def whole() -> str:
        names = [(word, [parts[index].section.title for index in sorted(of)]) for word, of in _words(shortened, gone)]
        said = " ".join(f"{word}: {plain(', '.join(of))}." for word, of in names)
        note = f"_To fit into a comment. {said} The files in metrics/ and reports/ have all of it._\n" if said else ""
        return head + "".join(texts) + note

    for index in sorted(range(len(parts)), key=lambda index: -len(texts[index])):
        if _size(whole()) <= limit:
            return whole()
        text = render(parts[index].shortened())
        if text != texts[index]:
            texts[index] = text
            shortened.add(index)
    for index in reversed(range(len(parts))):
        if _size(whole()) <= limit:
            break
        texts[index] = ""
        shortened.discard(index)
        gone.add(index)
    return whole()


def _words(shortened: set[int], gone: set[int]) -> list[tuple[str, set[int]]]:
    return [(word, of) for word, of in (("Shortened", shortened), ("Left out", gone)) if of]


def _size(text: str) -> int:
    return len(text.encode())
