"""The auditor: looks at masked video with other detectors than those that masked it, and says what still shows."""
