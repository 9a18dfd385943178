import threading

from common.cache import Kept


def test_many_who_ask_at_once_open_a_thing_once() -> None:
    kept: Kept[object] = Kept(2)
    made: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        kept.get("one", lambda: made.append("one") or object())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["one"]
    for name in ("two", "three", "one"):  # the third pushed the first out
        kept.get(name, lambda name=name: made.append(name) or object())
    assert made == ["one", "two", "three", "one"]
