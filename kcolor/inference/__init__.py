"""The light path: photo files, a network, full-size merge and batches.

With a preset or a `.tflite` network it takes NumPy, OpenCV, Pillow, tifffile and
LiteRT only, and neither TensorFlow nor Keras is imported. Another network brings its
own runtime, which `kcolor.runtimes` imports; a film takes PyAV.
"""
