-- wrk: sixteen requests in one write, so that they arrive together.
local depth = 16
local batch

init = function(args)
	local requests = {}
	for i = 1, depth do
		requests[i] = wrk.format(nil, wrk.path)
	end
	batch = table.concat(requests)
end

request = function()
	return batch
end

-- wrk takes one script: report.lua is loaded from beside this one.
dofile((debug.getinfo(1, "S").source:sub(2):match("(.*/)") or "") .. "report.lua")
