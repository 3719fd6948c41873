"""The decoder: reads cameras and files, passes their access units on and picks the pictures that detectors see."""
