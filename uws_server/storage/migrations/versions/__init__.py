"""The steps, in order. They import nothing of ours: the code they were written for is long gone when they run."""
