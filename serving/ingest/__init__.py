"""Files to chunks with vectors, apart from what answers people. It knows no SQL: what is ready is handed on, sealed."""
