"""The command line. A user's mistake is one line on stderr, never a traceback."""
