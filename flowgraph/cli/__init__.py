"""The command `flowc`: arguments in, calls, text out, and nothing else."""
