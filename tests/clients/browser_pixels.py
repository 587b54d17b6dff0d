"""Whether a picture shows text in the colour in which the site writes values."""

import base64
import io

from PIL import Image

# How far a pixel may be from the pure colour: edges are blended with what is behind, and JPEG blurs colours.
RED, GREEN, BLUE = 170, 110, 170
STARTS = ("iVBOR", "/9j/", "UklGR")


def coloured(data):
    """How many pixels of an encoded picture are of the colour."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    pixels = image.tobytes()
    rows = zip(pixels[0::3], pixels[1::3], pixels[2::3])
    return sum(1 for red, green, blue in rows if green < GREEN and red > RED and blue > BLUE)


def pictures(value):
    """Every picture that stands in base64 in a JSON value, with or without `data:` before it."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from pictures(each)
    elif isinstance(value, str) and len(value) > 100:
        encoded = value.split(",", 1)[1] if value.startswith("data:image/") else value
        if encoded.startswith(STARTS):
            yield base64.b64decode(encoded)
