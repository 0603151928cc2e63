"""Running a network, whatever file it is in: one runner a format, one resolver."""
