"""Where results are kept: the results table, files by key, folders and buckets."""
