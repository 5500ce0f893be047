/* Hash map from text or from a 64-bit number to a pointer; storage in an arena, never shrinks.
 * Iteration is in order of insertion, so that nothing depends on hashes. */
#ifndef TL_BASE_MAP_H
#define TL_BASE_MAP_H

#include "base/str.h"

typedef struct tl_map_entry {
    tl_str key;   /* of a text map; not copied, must outlive the map */
    uint64_t id;  /* of a number map; the hash of the key in a text map */
    void *value;
} tl_map_entry;

typedef struct tl_map {
    tl_arena *arena;
    tl_map_entry *entries; /* n of them, in order of insertion */
    uint32_t *slots;       /* index + 1 into entries, 0 = free */
    size_t n, cap, n_slots;
} tl_map;

void tl_map_init(tl_map *map, tl_arena *arena);
/* Adds or replaces. False when out of memory. */
bool tl_map_put(tl_map *map, tl_str key, void *value);
void *tl_map_find(const tl_map *map, tl_str key); /* NULL when absent */
bool tl_map_has(const tl_map *map, tl_str key);
bool tl_map_put_id(tl_map *map, uint64_t id, void *value);
void *tl_map_find_id(const tl_map *map, uint64_t id);
/* One map holds keys of one kind only. */

uint64_t tl_hash_bytes(const void *data, size_t size, uint64_t seed);
uint64_t tl_hash_combine(uint64_t a, uint64_t b);

#endif
