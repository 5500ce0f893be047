/* Open addressing over an insertion-ordered array of entries, at most half full. A number map is a
 * text map whose keys are all empty: entries are equal when id and key are. */
#include "base/map.h"

#include "base/diag.h"
#include "base/vec.h"

static uint64_t mix(uint64_t h)
{
    /* two rounds of multiply and fold: every input bit reaches every output bit */
    h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;
    return h ^ (h >> 32);
}

uint64_t tl_hash_combine(uint64_t a, uint64_t b)
{
    return mix(a * 3 + mix(b) + 0x9e3779b97f4a7c15u);
}

uint64_t tl_hash_bytes(const void *data, size_t size, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h = mix(seed ^ (size * 0x9e3779b97f4a7c15u));
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 31;
    }
    uint64_t tail = 0;
    if (size)
        memcpy(&tail, p, size);
    return mix(h ^ tail);
}

void tl_map_init(tl_map *map, tl_arena *arena)
{
    *map = (tl_map){.arena = arena};
}

/* The slot of the entry, or the free slot where it belongs. The table has free slots. */
static uint32_t *slot_of(const tl_map *map, uint64_t id, tl_str key)
{
    size_t mask = map->n_slots - 1;
    for (size_t i = mix(id) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &map->slots[i];
        if (!*slot)
            return slot;
        const tl_map_entry *entry = &map->entries[*slot - 1];
        if (entry->id == id && tl_str_equal(entry->key, key))
            return slot;
    }
}

static bool grow_slots(tl_map *map)
{
    size_t n_slots = map->n_slots ? map->n_slots * 2 : 16;
    if (n_slots > UINT32_MAX) {
        tl_oom(map->arena->cx);
        return false;
    }
    uint32_t *slots = TL_NEW_ARRAY(map->arena, uint32_t, n_slots);
    if (!slots)
        return false;
    map->slots = slots;
    map->n_slots = n_slots;
    for (size_t i = 0; i < map->n; i++)
        *slot_of(map, map->entries[i].id, map->entries[i].key) = (uint32_t)i + 1;
    return true;
}

static bool put(tl_map *map, uint64_t id, tl_str key, void *value)
{
    if (map->n_slots) {
        uint32_t *slot = slot_of(map, id, key);
        if (*slot) {
            map->entries[*slot - 1].value = value;
            return true;
        }
    }
    if (2 * (map->n + 1) > map->n_slots && !grow_slots(map))
        return false;
    if (!tl_vec_reserve_bytes(map->arena, (void **)&map->entries, &map->cap, map->n, 1,
                              sizeof(tl_map_entry)))
        return false;
    map->entries[map->n++] = (tl_map_entry){key, id, value};
    *slot_of(map, id, key) = (uint32_t)map->n;
    return true;
}

static const tl_map_entry *find(const tl_map *map, uint64_t id, tl_str key)
{
    if (!map->n_slots)
        return NULL;
    uint32_t slot = *slot_of(map, id, key);
    return slot ? &map->entries[slot - 1] : NULL;
}

bool tl_map_put(tl_map *map, tl_str key, void *value)
{
    return put(map, tl_str_hash(key), key, value);
}

void *tl_map_find(const tl_map *map, tl_str key)
{
    const tl_map_entry *entry = find(map, tl_str_hash(key), key);
    return entry ? entry->value : NULL;
}

bool tl_map_has(const tl_map *map, tl_str key)
{
    return find(map, tl_str_hash(key), key) != NULL;
}

bool tl_map_put_id(tl_map *map, uint64_t id, void *value)
{
    return put(map, id, (tl_str){0}, value);
}

void *tl_map_find_id(const tl_map *map, uint64_t id)
{
    const tl_map_entry *entry = find(map, id, (tl_str){0});
    return entry ? entry->value : NULL;
}
