"""What is known of DuckDB's functions: which repeat to the bit with any number of threads, and which do not.

Measured on DuckDB 1.5.5 over 3 million rows with 1, 2 and 4 threads; a test measures the claims anew.
"""

import functools

import duckdb


def _named(names: str) -> frozenset[str]:
    return frozenset(names.split())


# The same from any order of rows. `sum` and `avg` are so over integers and decimals only.
REPEATABLE = _named("""
    approx_count_distinct bit_and bit_or bit_xor bitstring_agg bool_and bool_or count count_if count_star
    countif histogram histogram_exact mad max median min quantile quantile_cont quantile_disc regr_count
""")
SUMS = _named("sum avg mean sum_no_overflow")
# Computed in floats step by step and merged between threads, also over integers.
FLOAT_STATISTICS = _named("""
    corr covar_pop covar_samp entropy favg fsum geomean geometric_mean kahan_sum kurtosis kurtosis_pop product
    regr_avgx regr_avgy regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev
    stddev_pop stddev_samp sumkahan var_pop var_samp variance wavg weighted_avg
""")
# Take whichever row comes first, or all rows as they come.
CHOICES = _named("""
    any_value arbitrary array_agg first group_concat json_group_array json_group_object json_group_structure
    last list listagg string_agg
""")
EXTREMES = _named("""
    arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin max_by
    min_by
""")
SKETCHES = _named("approx_quantile approx_top_k mode reservoir_quantile")
AGGREGATES = REPEATABLE | SUMS | FLOAT_STATISTICS | CHOICES | EXTREMES | SKETCHES

# Window functions whose value hangs on the place of a row among those that tie.
PLACED = _named("fill first_value lag last_value lead nth_value ntile row_number") | CHOICES | EXTREMES
RANKS = _named("cume_dist dense_rank percent_rank rank rank_dense")

# The same all through a query, another in the next; DuckDB calls some of them consistent.
CLOCKS = _named("""
    ago current_date current_localtime current_localtimestamp current_time current_timestamp get_current_time
    get_current_timestamp localtime localtimestamp now today transaction_timestamp
""")
_ENVIRONMENT = _named("current_setting getenv getvariable version")
_HARMLESS = _named("error")


@functools.cache
def volatile() -> frozenset[str]:
    """Functions whose value does not follow from their arguments, as DuckDB lists them; without clocks."""
    return _listed("stability <> 'CONSISTENT'") - CLOCKS - _HARMLESS | _ENVIRONMENT


@functools.cache
def unproven_aggregates() -> frozenset[str]:
    """Aggregates that DuckDB has and that nothing here is known of."""
    return _listed("function_type = 'aggregate'") - AGGREGATES - PLACED - RANKS


def _listed(condition: str) -> frozenset[str]:
    with duckdb.connect() as con:
        found = con.execute(f"select function_name from duckdb_functions() where {condition}").fetchall()
    return frozenset(str(name) for (name,) in found)
