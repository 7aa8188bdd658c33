"""Top-1 and top-5 accuracy of runtimes over labelled images, held against Paddle's: `python -m validate.accuracy`."""
