"""Methods of the five papers, one file each."""
