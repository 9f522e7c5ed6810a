"""Which times and ratios are within their bars, as recorded?

A bar is what a measured value is aimed to be at most. No test asserts one: a busy or another machine may miss it.
"""

from benchmarks.site.pages import pages


def main():
    for name, (module, records) in sorted(pages().items()):
        if hasattr(module, "bars"):
            print(f"{name}, recorded on {records[-1]['machine']}")
            print("\n".join(f"    {bar}" for bar in module.bars(records)))


if __name__ == "__main__":
    main()
