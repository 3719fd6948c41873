"""The tracker: from sparse detections to what is masked in every frame, and to anonymous counts."""
