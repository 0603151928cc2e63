"""The light path: photo files, LiteRT, full-size merge and batches.

NumPy, OpenCV, Pillow and ai_edge_litert only; TensorFlow, Keras and torch are never
imported from here.
"""
