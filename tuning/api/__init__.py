"""The API of tuning, a file for each thing it speaks of: the same acts as the pages, for programs."""
