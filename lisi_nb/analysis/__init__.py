"""Arrays in, records out; nothing here opens a file."""
