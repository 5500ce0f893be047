/* Reading JSON of others: bounded depth, 64-bit integers exactly, bare NaN, Infinity and -Infinity as Python
 * writes them (and the same as text, as numbers where a number is asked for). Members keep their order. */
#ifndef TL_CODEC_JSON_TREE_H
#define TL_CODEC_JSON_TREE_H

#include "base/diag.h"

typedef enum tl_json_kind {
    TL_JSON_NULL,
    TL_JSON_BOOL,
    TL_JSON_INT,
    TL_JSON_FLOAT,
    TL_JSON_TEXT,
    TL_JSON_LIST,
    TL_JSON_OBJECT
} tl_json_kind;

typedef struct tl_json_node {
    tl_json_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        tl_str s;
        struct {
            const struct tl_json_node *items; /* n of them */
            const tl_str *keys;               /* of an object, else NULL */
            size_t n;
        };
    };
} tl_json_node;

/* text must outlive the tree. name is for messages; M003 with the byte offset when it is not JSON. */
tl_status tl_json_parse(tl_context *cx, const char *name, tl_str text, tl_arena *arena,
                        const tl_json_node **out);
/* Never NULL: a null node for what is absent, or when the node is no object (list). */
const tl_json_node *tl_json_member(const tl_json_node *object, const char *key);
const tl_json_node *tl_json_item(const tl_json_node *list, size_t i);
static inline bool tl_json_is_null(const tl_json_node *node)
{
    return node->kind == TL_JSON_NULL;
}
/* What the node says, or the value given when it is of another kind. */
int64_t tl_json_as_int(const tl_json_node *node, int64_t otherwise);
double tl_json_as_float(const tl_json_node *node, double otherwise); /* ints and "NaN" too */
bool tl_json_as_bool(const tl_json_node *node, bool otherwise);
tl_str tl_json_as_text(const tl_json_node *node); /* empty */
size_t tl_json_count(const tl_json_node *node);   /* of a list or object, else 0 */

#endif
