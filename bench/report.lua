-- wrk: the result as one line of JSON. It has no request() or response(), so wrk's own fast path
-- stays in use.
done = function(summary, latency, requests)
	local errors = summary.errors
	io.write(string.format(
		'{"requests": %d, "duration_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, ' ..
		'"errors": %d, "not_2xx": %d}\n',
		summary.requests, summary.duration, summary.bytes,
		latency:percentile(50), latency:percentile(99),
		errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
