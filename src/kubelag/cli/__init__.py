"""One file per command; the only owner of stdout, exit codes and logging set-up."""
