"""Pictures of diagrams: what is drawn, where it stands, and the formats.

The road of a picture: `collect` (diagram -> Picture), `overlay` (values, gradients and weights laid over
it), `compose` (Picture -> Scene, by `layout`), and one writer a format, all from the Scene.
"""
