"""Flights from New York in 2013: announced, then flown or cancelled; and the views of them."""

from core import Count, Max, Mean, Quantiles, Source, Sum, Top, Uniques, View

FLIGHTS = Source("flights.departures", contract="flights")

FLOWN = "kind = 'flown'"
LATE = "if(dep_delay >= 15, 1, 0)"  # how the airlines' regulator counts
DELAYS = {
    "flights": Count(),
    "late": Sum(LATE),
    "late_share": Mean(LATE),
    "mean_dep_delay": Mean("dep_delay"),
    "mean_arr_delay": Mean("arr_delay"),
    "dep_delays": Quantiles("dep_delay"),
}

VIEWS = [
    View(
        "delays_by_carrier",
        FLIGHTS,
        key=("carrier",),
        where=FLOWN,
        measures=DELAYS | {"worst": Max("dep_delay"), "arr_delays": Quantiles("arr_delay")},
        description="How late the flights of an airline were.",
    ),
    View(
        "delays_by_airport",
        FLIGHTS,
        key=("origin",),
        where=FLOWN,
        measures=DELAYS,
        description="How late flights left an airport, by the hour in which they were due.",
    ),
    View(
        "delays_by_hour_of_day",
        FLIGHTS,
        key=("origin", "local_hour"),
        where=FLOWN,
        bucket="1 day",
        measures=DELAYS,
        description="How delays grow over a day on the clocks of New York.",
    ),
    View(
        "aircraft",
        FLIGHTS,
        key=("tail_number",),
        where="kind <> 'scheduled'",
        bucket="1 day",
        measures={
            "flights": Count("dep_delay"),
            "miles": Sum("if(kind = 'flown', distance, 0)"),
            "minutes": Sum("air_time"),
            "mean_dep_delay": Mean("dep_delay"),
            "destinations": Uniques("dest"),
            "last_due": Max("event_time"),
        },
        description="What an aircraft flew; the key NULL holds cancelled flights that had none yet.",
    ),
    View(
        "routes",
        FLIGHTS,
        key=("origin", "dest"),
        where=FLOWN,
        bucket="1 day",
        measures={
            "flights": Count(),
            "carriers": Uniques("carrier"),
            "minutes": Sum("air_time"),
            "air_times": Quantiles("air_time"),
            "mean_arr_delay": Mean("arr_delay"),
        },
        description="Who flies a route, how long it takes and how late one gets there.",
    ),
    View(
        "departures",
        FLIGHTS,
        where=FLOWN,
        measures=DELAYS
        | {
            "aircraft": Uniques("tail_number"),
            "top_destinations": Top("dest"),
            "last_due": Max("event_time"),
        },
        description="All flights that left: one row of everything.",
    ),
]
