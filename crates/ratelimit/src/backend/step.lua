-- One step of the shared limits: buckets, then accounts, in one round trip. It answers as backend.rs does, in whole
-- numbers alone, of which Lua holds 53 bits: money is micro-dollars and the atto-dollars left over (10^12 to one).
local holder, lease, now, n_buckets = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local GRAINS, ATTO = 1000000, 1000000000000
local at = 4
local function arg() at = at + 1; return tonumber(ARGV[at]) end
local function text(n) return string.format('%.0f', n) end
local function split(s)
  local all = {}
  for part in string.gmatch(s, '[^,]+') do all[#all + 1] = tonumber(part) end
  return all
end

-- floor(a * b / c) for a < c, exactly: bit by bit, so that no product is larger than twice c.
local function portion(a, b, c)
  local whole, rest = math.floor(b / c), b % c
  local quotient, left, bits = 0, 0, {}
  local n = a
  while n > 0 do bits[#bits + 1] = n % 2; n = math.floor(n / 2) end
  for i = #bits, 1, -1 do
    quotient, left = quotient * 2, left * 2
    if left >= c then left = left - c; quotient = quotient + 1 end
    if bits[i] == 1 then
      left = left + rest
      if left >= c then left = left - c; quotient = quotient + 1 end
    end
  end
  return a * whole + quotient
end

local function level_at(b, capacity, window)
  if b.capacity ~= capacity or b.window ~= window then return math.min(b.level, capacity) end
  local elapsed = math.max(now - b.at, 0)
  local windows = math.floor(elapsed / window)
  return math.min(b.level + windows * capacity + portion(elapsed - windows * window, capacity, window), capacity)
end

local answer = {}
for i = 1, n_buckets do
  local capacity, window, draw, owe = arg(), arg(), arg(), arg()
  local held = redis.call('GET', KEYS[i])
  local b = { level = capacity, at = now, capacity = capacity, window = window }
  if held then
    local all = split(held)
    b = { level = all[1], at = all[2], capacity = all[3], window = all[4] }
  end
  local level = level_at(b, capacity, window)
  local there = math.floor(math.max(level - owe, 0) / GRAINS) * GRAINS
  local drawn = math.min(draw, there)
  local changed = b.capacity ~= capacity or b.window ~= window
  local take = owe + drawn
  if take ~= 0 or changed then
    local moved = (changed or b.at - now > window) and now or math.max(b.at, now)
    b = { level = math.min(level - take, capacity), at = moved, capacity = capacity, window = window }
    local full = math.max(1, math.ceil((capacity - b.level) / capacity) + 1) * window
    redis.call('SET', KEYS[i], text(b.level) .. ',' .. text(b.at) .. ',' .. text(capacity) .. ',' .. text(window), 'PX', text(full))
  end
  answer[#answer + 1] = text(level_at(b, capacity, window))
  answer[#answer + 1] = text(drawn)
end

-- Money is {micro, rest} with 0 <= rest < ATTO.
local function add(a, b)
  local micro, rest = a[1] + b[1], a[2] + b[2]
  if rest >= ATTO then return { micro + 1, rest - ATTO } end
  return { micro, rest }
end
local function sub(a, b)
  local micro, rest = a[1] - b[1], a[2] - b[2]
  if rest < 0 then return { micro - 1, rest + ATTO } end
  return { micro, rest }
end
local function less(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end
local function max(a, b) if less(a, b) then return b end return a end
local function min(a, b) if less(a, b) then return a end return b end
local ZERO = { 0, 0 }

for i = n_buckets + 1, #KEYS do
  local limit = { arg(), arg() }
  local slot, oldest, expires, seq = arg(), arg(), arg(), arg()
  local total, want = { arg(), arg() }, { arg(), arg() }
  local fields = redis.call('HGETALL', KEYS[i])
  local spent, slots, others, me = ZERO, {}, ZERO, { 0, 0, 0, 0, 0, 0 }
  for f = 1, #fields, 2 do
    local kind, name = string.sub(fields[f], 1, 2), string.sub(fields[f], 3)
    local all = split(fields[f + 1])
    if kind == 's:' then
      if tonumber(name) < oldest then
        redis.call('HDEL', KEYS[i], fields[f])
      else
        slots[tonumber(name)] = { all[1], all[2] }
        spent = add(spent, { all[1], all[2] })
      end
    elseif name == holder then
      me = all
    elseif all[6] > now then
      others = add(others, { all[1], all[2] })
    end
  end
  if seq > me[5] then
    local known = { me[3], me[4] }
    if less(known, total) then
      local more = sub(total, known)
      slots[slot] = add(slots[slot] or ZERO, more)
      spent = add(spent, more)
      redis.call('HSET', KEYS[i], 's:' .. text(slot), text(slots[slot][1]) .. ',' .. text(slots[slot][2]))
      known = total
    end
    local room = max(sub(sub(limit, spent), others), ZERO)
    local held = max(min(want, room), ZERO)
    me = { held[1], held[2], known[1], known[2], seq, now + lease }
    local row = {}
    for f = 1, 6 do row[f] = text(me[f]) end
    redis.call('HSET', KEYS[i], 'h:' .. holder, table.concat(row, ','))
    redis.call('EXPIREAT', KEYS[i], text(expires))
  end
  if me[6] <= now then me[1] = 0; me[2] = 0 end
  answer[#answer + 1] = text(me[1]); answer[#answer + 1] = text(me[2])
  answer[#answer + 1] = text(others[1]); answer[#answer + 1] = text(others[2])
  answer[#answer + 1] = text(me[3]); answer[#answer + 1] = text(me[4])
  answer[#answer + 1] = text(me[5])
  local order = {}
  for name in pairs(slots) do order[#order + 1] = name end
  table.sort(order)
  answer[#answer + 1] = text(#order)
  for _, name in ipairs(order) do
    answer[#answer + 1] = text(name)
    answer[#answer + 1] = text(slots[name][1]); answer[#answer + 1] = text(slots[name][2])
  end
end
return answer
