"""Raw events in, blocks of facts out: decode, check, mask, normalize, combine. Everything by columns, nothing by row,
but for the records that something is wrong with."""
