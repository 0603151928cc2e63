"""Pictures in files: formats, decoding, encoding, resizing. No TensorFlow, no Keras."""
