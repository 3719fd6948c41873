"""The control centre's console: live masked pictures, statistics, requests and policies in a browser."""
