"""Color: constants, graphs of `keras.ops`, and NumPy/OpenCV for full size."""
