"""The page that colorizes in the browser, and a small HTTP service beside it."""
