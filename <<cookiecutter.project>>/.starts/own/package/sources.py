"""Your own sources of rows; empty as long as one of gitloop's reads your table.

    source: {_target_: gitloop.data.sources.CSV, path: data/source/*.csv}
    source: {_target_: gitloop.data.sources.Parquet, path: 's3://bucket/table/*.parquet'}
    source: {_target_: gitloop.data.sources.GoogleSheet, sheet: its link}
    source: {_target_: gitloop.data.sources.SQL, url_env: DATABASE_URL, query: SELECT * FROM sales}

A class of your own has two methods, and is named in conf/data/ as `${project.package}.sources.Made`:

    import pyarrow as pa
    from gitloop.data.protocol import Request

    class Made:
        def describe(self) -> dict[str, object]:
            return {"kind": "Made", "version": 1}  # the same for the same rows

        def batches(self, request: Request) -> pa.RecordBatchReader:
            table = pa.table({"age": [40, 50], "progression": [120, 140]})
            return table.to_reader()
"""
