"""The graph written as runtimes like it: the same model, in operators that they compute faster."""
