"""What each `lisi-nb` command does; `lisi_nb.cli` reads the command line."""
