"""One file a headline number, each measured beside its peer in the same run."""
