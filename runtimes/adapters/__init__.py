"""One file per runtime. A module here has `RUNTIMES`, and the registry finds it without further ado."""
