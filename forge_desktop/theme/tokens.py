"""Colours, spacing, radii and type: the one place palette and style sheet are made from."""

from dataclasses import dataclass, fields

RADIUS_CHIP = 6
RADIUS_CONTROL = 8
RADIUS_CARD = 12
ROW_HEIGHT = 52
NARROW_WIDTH = 1200
"""Below this the sidebar becomes icons and a page's rail moves below its main column."""


@dataclass(frozen=True)
class Tokens:
    """One theme. `…_soft` lies behind `…_text`; `…_fill` paints bars and dots."""

    name: str
    bg: str
    sidebar: str
    surface: str
    surface2: str
    hover: str
    border: str
    border_strong: str
    text: str
    secondary: str
    muted: str
    accent: str
    accent_hover: str
    accent_text: str
    accent_soft: str
    on_accent: str
    ok_text: str
    ok_soft: str
    ok_fill: str
    warn_text: str
    warn_soft: str
    warn_fill: str
    bad_text: str
    bad_soft: str
    bad_fill: str
    info_text: str
    info_soft: str
    info_fill: str
    series: tuple[str, ...]

    @property
    def dark(self) -> bool:
        """Light text on a dark ground."""
        return self.name == "dark"

    def colours(self) -> dict[str, str]:
        """Every single colour by name, for the style sheet."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("name", "series")}


LIGHT = Tokens(
    name="light",
    bg="#F5F6F8",
    sidebar="#FBFBFC",
    surface="#FFFFFF",
    surface2="#F3F4F7",
    hover="#ECEEF2",
    border="#E3E6EB",
    border_strong="#C9CED7",
    text="#14161B",
    secondary="#454B57",
    muted="#646B78",
    accent="#5048D6",
    accent_hover="#433BC4",
    accent_text="#4A42CC",
    accent_soft="#EEEDFD",
    on_accent="#FFFFFF",
    ok_text="#17704A",
    ok_soft="#E5F5EC",
    ok_fill="#2FA36B",
    warn_text="#8A5700",
    warn_soft="#FFF2D3",
    warn_fill="#E09A1A",
    bad_text="#C0273A",
    bad_soft="#FDEBEC",
    bad_fill="#E5484D",
    info_text="#0A62BE",
    info_soft="#E6F1FD",
    info_fill="#2F86EB",
    series=("#5048D6", "#E8590C", "#0C8F8F", "#B4328F", "#2F86EB", "#8A6A00"),
)
DARK = Tokens(
    name="dark",
    bg="#0C0D11",
    sidebar="#101217",
    surface="#15171D",
    surface2="#1B1E26",
    hover="#232732",
    border="#262A34",
    border_strong="#3B4150",
    text="#F1F3F7",
    secondary="#B6BCC8",
    muted="#8D95A4",
    accent="#655DE6",
    accent_hover="#5B52DC",
    accent_text="#AFA9FF",
    accent_soft="#211F41",
    on_accent="#FFFFFF",
    ok_text="#57CF98",
    ok_soft="#11291D",
    ok_fill="#3CB67C",
    warn_text="#F4BB5A",
    warn_soft="#2C2310",
    warn_fill="#E5A62F",
    bad_text="#FF8C95",
    bad_soft="#35171C",
    bad_fill="#EC5D62",
    info_text="#7ABEFF",
    info_soft="#10263D",
    info_fill="#3B93F2",
    series=("#8F88FF", "#FF8A4C", "#35C2B8", "#E37BC4", "#58A8FF", "#D9B13B"),
)
THEMES = {"light": LIGHT, "dark": DARK}


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours as WCAG 2.1 defines it, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
