"""From a catalogue name to a class: an ordered table of regular expressions, first match wins."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_HEIGHT_M = 2.6
MAX_WIDTH_M = 3.6
NOT_INDOORS = re.compile(
    r"outdoor|deck chair|beach|pool lounge|camping|park |street|concrete|lamppost|porch|garden|mower|"
    r"sidewalk|pedestrian|pallet|fence|christmas|coconut|cypress|poplar|maple|pine|acacia|hedge|"
    r"swimming|jacuzzi|garage|elevator|escalator|stair|swing|railing|tent|hut|flower box|plant box|"
    r"hospital|abdominal|abdominal|high chair|wheelchair|car model|truck|lantern|fountain|table tennis bat|street|"
    r"contemporary living room|hammock|beech|bush|blossom|palm tree|trampoline|basketball net|goal|"
    r"football table|air mattress|sleeping bag|window shutter|toilet paper|toilet brush|rails|rail |"
    r"vintage|locked locker|hanging clothes|external unit|bathmat hook|mailbox|letters box|dog house|"
    r"doll house|rocking horse|wood toy hut|children game|technical table|workbench|child hut|"
    r"barnum|cone$|parking|arrow|water heater|boiler|furnace|chimney",
    re.IGNORECASE,
)

_RULES: Sequence[tuple[str, str]] = (
    ("curtain", r"curtain|window blind"),
    ("door", r"\bdoor\b(?!.*cabinet)|screen door"),
    ("window", r"window"),
    ("piano", r"\bpiano$"),
    ("lamp", r"lamp|\blight\b|lights|chandelier|spotlight|fluorescent"),
    ("tv", r"^tv$|tv 16|flat tv|television$"),
    (
        "cabinet",
        r"cabinet|cupboard|wardrobe|dresser|bedside|dressing|tv stand|television cab|^vanity|"
        r"double vanity|island(?! bath)|changing table",
    ),
    ("bathtub", r"bathtub|^bath$|island bath"),
    ("shower", r"shower(?! curtain)"),
    ("toilet", r"toilets? unit|bidet|urinal|^toilet$"),
    ("sink", r"sink|washbasin|lavatory"),
    ("refrigerator", r"fridge|refrigerator|freezer"),
    ("washing machine", r"washing machine|dryer machine"),
    ("oven", r"oven|stove(?!.*propane)|cooker|cooktop|hood|microwave"),
    (
        "coffee machine",
        r"coffee (brewer|maker|machine|press)|kettle|toaster|blender|mixer|teapot|"
        r"sandwich maker|deep fryer",
    ),
    ("chair", r"chair|stool|^class seat|bench(?!.*(abdominal|painted))|puff|ottoman"),
    ("sofa", r"sofa|couch|futon|day bed"),
    ("bed", r"\bbed\b|crib"),
    ("desk", r"desk"),
    ("bookshelf", r"bookcase|shelves"),
    ("table", r"table(?!t|.*(tennis|football|fan))"),
    ("fan", r"\bfan\b"),
    ("plant", r"plant|cactus|ficus|bonsai|bamboo|orchid|tulip|lily|flowers|spathiphyllum|yucca"),
    ("picture", r"white board|frame chambord|calendar|artwork"),
    ("rug", r"rug$|carpet|doormat|bathmat|tatami"),
    ("bin", r"dustbin|trash|recycling bin"),
    ("bag", r"backpack|handbag|suitcase|briefcase|clothes basket|shopping basket"),
    ("box", r"\bbox\b(?!.*(bread|pen|medicine))|crate|^chest$|trunck"),
    ("vase", r"vase|pottery|old jar"),
    ("bottle", r"bottle|flacon|oil servers"),
    ("plate", r"^plate|oval plate|^tray$|chopping board"),
    ("cup", r"\bcup$|mug|^glass$|\bbowl$|beer glass|cocktail glass|utensils pot"),
    ("fruit", r"fruits|apples|salad|bread$"),
    ("book", r"^book$|newspaper"),
    ("computer", r"laptop|imac|ibook|^keyboard|tablet"),
    ("clock", r"clock"),
    ("radiator", r"radiator"),
    ("towel", r"towel(?! holder)"),
    ("toy", r"teddy|basketball|soccer|toy|^doll$|rubik|xylophone|puzzle"),
    ("clothes", r"slippers|shoes|sneakers|jacket|folded clothes|mocassin|^hat$|^dress$|trousers"),
    ("switch", r"switch|socket|plug"),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _RULES)
_UNNAMED = re.compile(
    r"camera|radio|speaker|stereo|dvd|playstation|phone|knife stand|spice|helmet|aquarium|"
    r"candle|printer|fireplace|water cooler|clothes horse|guitar|stepladder|step ladder|extinguisher|"
    r"smoke detector|intercom|air conditioning|letter tray|penbox|headphones|safe$|scale|video projector",
    re.IGNORECASE,
)


def class_of(name: str) -> str | None:
    """Return the class of a catalogue name, ``"void"`` for indoor things without one, else None."""
    if NOT_INDOORS.search(name):
        return None
    for label, pattern in _COMPILED:
        if pattern.search(name):
            return label
    return "void" if _UNNAMED.search(name) else None


def label_of(name: str, width_m: float, depth_m: float, height_m: float) -> str | None:
    """Return the class of a model from its name and size; None for what does not fit into a room."""
    label = class_of(name)
    if label is None or height_m > MAX_HEIGHT_M or max(width_m, depth_m) > MAX_WIDTH_M:
        return None
    if label == "box" and (height_m > 0.7 or width_m > 1.2):
        return "cabinet"
    return label
