-- Counts a request out, once. KEYS: tickets inside; tokens of the month. ARGV: ticket, change of tokens.
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 and ARGV[2] ~= '0' and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('INCRBY', KEYS[2], ARGV[2])
end
