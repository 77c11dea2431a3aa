"""The Spark session of batch jobs: the only place that builds one."""

from pyspark.sql import SparkSession

__all__ = ["build_session"]

# spark-submit brings jars, memory and conf/spark-defaults.conf; these are what batch jobs alone need.
OPTIONS: dict[str, bool | float | int | str | None] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.files.maxPartitionBytes": "64m",
    # a task writes to several folders of a partitioned table at once, instead of sorting its rows by folder
    "spark.sql.maxConcurrentOutputFileWriters": "256",
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    # a view that was empty and still is: Delta would write no version for the manifest to name
    "spark.databricks.delta.skipRecordingEmptyCommits": "false",
    # Delta would vacuum by a table property and not as told: after a week files of retained versions too
    "spark.databricks.delta.vacuum.retentionWindowIgnore.enabled": "false",
    # and refuse to read a version that is older than a week, although its files are there
    "spark.databricks.delta.vacuum.enforceTimeTravelWithinDeletedFileRetentionDuration": "false",
    # groups with sketches are large and costly to make: sorted, there is one at a time
    "spark.sql.execution.useObjectHashAggregateExec": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
}


def build_session(name: str) -> SparkSession:
    """The session of this process, on top of what spark-submit configured."""
    session = SparkSession.builder.appName(name).config(map=OPTIONS).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
