"""Image quality: functions per image, and streaming Keras metrics over them."""
