"""The texts of the two recorded collections: passages, and what is asked of them."""

from __future__ import annotations

FEEDING = (
    "The keepers bring meat to the lion in the evening. It wakes up, stretches, and walks to the gate. Children may "
    "watch from the bridge until six, and at night nobody may."
)
MORE_PASSAGES = {
    "feeding": FEEDING,
    "feeding-twin": FEEDING.replace("evening", "afternoon"),
    "bear": "The bear sleeps all winter and eats fish in spring.",
    "parrot": "A parrot copies words and lives for sixty years.",
    "penguin": "The penguin swims fast and cannot fly.",
    "camel": "A camel drinks a hundred litres of water at once.",
    "bat": "The bat hears where it flies at night.",
    "frog": "A frog drinks through its skin.",
}
# Asked beside those of the suite of that commit: text → grades, answer.
MORE_ASKED: dict[str, tuple[dict[str, int], str]] = {
    "Which animal sleeps all winter?": ({"bear": 3, "snail": 1}, "The bear."),
    "Who copies words?": ({"parrot": 3, "crow": 1}, "A parrot copies words."),
    "Which bird cannot fly?": ({"penguin": 3, "eagle": 0}, "The penguin."),
    "How much water does a camel drink?": ({"camel": 3, "frog": 1}, "A hundred litres at once."),
    "Who hears where it flies?": ({"bat": 3}, "The bat."),
    "Who drinks through its skin?": ({"frog": 3, "camel": 1}, "A frog."),
    "When is the lion fed?": ({"feeding": 3, "lion": 1}, "In the evening."),
    "Who lives for sixty years?": ({"parrot": 3}, "A parrot."),
    "Who eats fish in spring?": ({"bear": 3, "penguin": 1}, "The bear."),
    "Until when may children watch?": ({"feeding": 2, "hours": 2}, "Until six."),
}
PARK = {
    "oak": "The oak is three hundred years old.",
    "pond": "The pond holds carp and frogs.",
    "bench": "A bench stands beside the pond.",
    "rose": "The rose garden opens in spring.",
    "bridge": "The bridge is closed at night.",
    "fountain": "The fountain runs until nine.",
    "path": "The path along the water is a mile long.",
    "kiosk": "The kiosk sells ice for two euros.",
    "swing": "Children find a swing and a slide.",
    "lamp": "The lamps go on at six.",
}
PARK_ASKED = {
    "How old is the oak?": "oak",
    "What lives in the pond?": "pond",
    "Where is a bench?": "bench",
    "When does the rose garden open?": "rose",
    "Is the bridge open at night?": "bridge",
    "Until when does the fountain run?": "fountain",
    "How long is the path?": "path",
    "What does ice cost?": "kiosk",
    "Where is a swing for children?": "swing",
    "When do the lamps go on?": "lamp",
    "Does the kiosk sell ice?": "kiosk",
    "Are there carp?": "pond",
}
