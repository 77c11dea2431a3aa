"""Flights from New York in 2013: announced, then flown or cancelled; the weather then; and the views of both.

The weather is a file that `make setup APPLICATION=flights` fetches.
"""

from conf.settings import get_settings
from core import Corrections, Count, Lookup, Max, Mean, Min, Quantiles, Source, Sum, Top, Uniques, View

WEATHER = Lookup(
    get_settings().cache_dir / "tables" / "nyc_weather_2013.csv",
    key={
        "origin": "origin",
        "time_hour": "concat(substring(cast(event_time as string), 1, 10), 'T', "
        "substring(cast(event_time as string), 12, 2), ':00:00Z')",
    },
    gives={"temp": "decimal(5,2)", "wind_speed": "double", "precip": "decimal(4,2)", "visib": "decimal(4,2)"},
    null="NA",
    sha256="5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
)
FLIGHTS = Source("flights.departures", contract="flights", declares=[Corrections(target="corrects"), WEATHER])

FLOWN, TOLD = "kind = 'flown'", "kind <> 'scheduled'"
SKY = (
    "case when visib is null then 'not measured' when visib < 1 then 'no sight' "
    "when precip > 0 then 'wet' else 'dry' end"
)
LATE = "if(dep_delay >= 15, 1, 0)"  # how the airlines' regulator counts
DELAYS = {
    "flights": Count(),
    "late": Sum(LATE),
    "late_share": Mean(LATE),
    "mean_dep_delay": Mean("dep_delay"),
    "mean_arr_delay": Mean("arr_delay"),
    "dep_delays": Quantiles("dep_delay"),
}
CANCELLED = "if(kind = 'cancelled', 1, 0)"
CANCELLATIONS = {"told": Count(), "cancelled": Sum(CANCELLED), "cancelled_share": Mean(CANCELLED)}

# by the hour, as every view is: a day of New York does not begin when one of UTC does
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
        measures=DELAYS
        | {
            "temperature": Mean("temp"),
            "rain": Max("precip"),
            "wind": Max("wind_speed"),
            "sight": Min("visib"),
        },
        description="How late flights left an airport, by the hour when they were due, and the weather then.",
    ),
    View(
        "delays_by_weather",
        FLIGHTS,
        key={"origin": "origin", "sky": SKY},
        where=FLOWN,
        measures=DELAYS,
        description="How late flights left an airport when one saw nothing, when it was wet, and when not.",
    ),
    View(
        "delays_by_hour_of_day",
        FLIGHTS,
        key=("origin", "local_hour"),
        where=FLOWN,
        measures=DELAYS,
        description="How delays grow over a day on the clocks of New York.",
    ),
    View(
        "planned",
        FLIGHTS,
        key=("origin",),
        where="kind <> 'flown'",
        measures={
            "flights_planned": Count(),
            "miles_planned": Sum("if(kind = 'scheduled', distance, 0)"),
            "cancelled": Sum(CANCELLED),
            "cancelled_share": Mean(CANCELLED),
        },
        description="Flights as announced, each once: a cancellation takes the place of the announcement.",
    ),
    View(
        "cancellations",
        FLIGHTS,
        key=("carrier",),
        where=TOLD,
        measures=CANCELLATIONS,
        description="Which share of an airline's flights was cancelled, of those of which it is known.",
    ),
    View(
        "cancellations_by_weather",
        FLIGHTS,
        key={"origin": "origin", "sky": SKY},
        where=TOLD,
        measures=CANCELLATIONS,
        description="Which share of an airport's flights was cancelled, by the weather when they were due.",
    ),
    View(
        "aircraft",
        FLIGHTS,
        key=("tail_number",),
        where=TOLD,
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
