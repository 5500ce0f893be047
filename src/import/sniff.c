/* Tells formats apart by content: bytes at fixed places, names of an archive's members, then what has no
 * mark of its own. */
#include "codec/json_tree.h"
#include "codec/zip.h"
#include "import/import.h"
#include "import/onnx/onnx_proto.h"

#include <string.h>

#define HEAD_SIZE      512
#define MAX_INDEX_SIZE (1u << 26) /* of JSON */

/* ---- archives ---- */

enum member_match { IS, STARTS, ENDS };

static const struct {
    tl_format format;
    enum member_match how;
    const char *text;
} members[] = {
#define MEMBER(id, how, text) {TL_FORMAT_##id, how, text},
#include "import/formats.def"
};

/* Bytes of the folder that every member lies in, / included; 0: none. */
static size_t root_size(const tl_zip *zip)
{
    tl_str first = zip->n ? zip->v[0].name : TL_STR("");
    size_t n = 0;
    while (n < first.n && first.p[n] != '/')
        n++;
    if (n == first.n)
        return 0;
    n++;
    for (size_t i = 0; i < zip->n; i++)
        if (zip->v[i].name.n < n || memcmp(zip->v[i].name.p, first.p, n) != 0)
            return 0;
    return n;
}

static bool fits(tl_str name, enum member_match how, const char *text)
{
    return how == IS       ? tl_str_is(name, text)
           : how == STARTS ? tl_str_starts(name, text)
                           : tl_str_ends(name, text);
}

static tl_status sniff_zip(tl_context *cx, tl_file *file, tl_arena *scratch, tl_format *out)
{
    tl_zip zip;
    TRY(tl_zip_open(cx, file, scratch, &zip));
    size_t root = root_size(&zip);
    *out = TL_FORMAT_ZIP;
    for (size_t k = 0; k < TL_COUNT(members); k++)
        for (size_t i = 0; i < zip.n; i++) {
            tl_str name = {zip.v[i].name.p + root, zip.v[i].name.n - root};
            if (fits(name, members[k].how, members[k].text)) {
                *out = members[k].format;
                return TL_OK;
            }
        }
    return TL_OK;
}

/* ---- bytes ---- */

static const struct {
    tl_format format;
    int at;
    size_t n;
    const char *bytes;
} magics[] = {
#define BYTES(id, at, bytes) {TL_FORMAT_##id, at, sizeof(bytes) - 1, bytes},
#include "import/formats.def"
};

static bool starts_like_safetensors(const uint8_t *head, size_t n, uint64_t size)
{
    uint64_t header;
    if (n < 10)
        return false;
    memcpy(&header, head, sizeof(header));
    return head[8] == '{' && header >= 2 && header <= size - 8;
}

/* Hugging Face's list of which weight is in which file. */
static bool is_index(tl_context *cx, tl_file *file, tl_arena *scratch)
{
    size_t size = (size_t)tl_file_size(file);
    char *text = tl_arena_push_raw(scratch, size + 1, 1);
    const tl_json_node *root;
    tl_context *quiet = tl_context_create(cx->alloc, cx->alloc_user); /* what fails is no index */
    bool found = text && quiet && tl_file_read(quiet, file, 0, text, size) == TL_OK &&
                 tl_json_parse(quiet, "", (tl_str){text, size}, scratch, &root) == TL_OK &&
                 tl_json_member(root, "weight_map")->kind == TL_JSON_OBJECT;
    if (quiet)
        tl_context_destroy(quiet);
    return found;
}

static tl_status sniff_bytes(tl_context *cx, tl_file *file, tl_arena *scratch, tl_format *out)
{
    uint8_t head[HEAD_SIZE], tail[8] = {0};
    uint64_t size = tl_file_size(file);
    size_t n = (size_t)TL_MIN(size, (uint64_t)sizeof(head));
    TRY(tl_file_read(cx, file, 0, head, n));
    if (size >= sizeof(tail))
        TRY(tl_file_read(cx, file, size - sizeof(tail), tail, sizeof(tail)));
    for (size_t i = 0; i < TL_COUNT(magics); i++) {
        size_t at = (size_t)magics[i].at;
        bool same =
            magics[i].at < 0
                ? size >= sizeof(tail) && memcmp(tail, magics[i].bytes, magics[i].n) == 0
                : n >= at + magics[i].n && memcmp(head + at, magics[i].bytes, magics[i].n) == 0;
        if (!same)
            continue;
        *out = magics[i].format;
        return *out == TL_FORMAT_ZIP ? sniff_zip(cx, file, scratch, out) : TL_OK;
    }
    if (onnx_sniff(cx, file, scratch))
        *out = TL_FORMAT_ONNX;
    else if (n >= 3 &&
             memcmp(head, "\x08\x01\x12", 3) == 0) /* schema version 1, then meta graphs */
        *out = TL_FORMAT_SAVED_MODEL;
    else if (starts_like_safetensors(head, n, size))
        *out = TL_FORMAT_SAFETENSORS;
    else if (n && head[0] == '{' && size <= MAX_INDEX_SIZE && is_index(cx, file, scratch))
        *out = TL_FORMAT_SHARDS;
    return tl_context_status(cx);
}

tl_status tl_format_sniff(tl_context *cx, tl_file *file, tl_format *out)
{
    tl_arena scratch;
    tl_arena_init(&scratch, cx);
    *out = TL_FORMAT_UNKNOWN;
    tl_status status = sniff_bytes(cx, file, &scratch, out);
    tl_arena_release(&scratch);
    return status;
}
