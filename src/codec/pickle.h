/* Python pickles as PyTorch writes them, turned into plain data. Nothing is executed: a global is a name, a
 * call (REDUCE, NEWOBJ, BUILD) is an object that remembers class, arguments and state. Known by name and
 * turned into what they mean: tensors (torch._utils._rebuild_*), storages (persistent ids), OrderedDict,
 * torch.Size, the typed lists of TorchScript (torch.jit._pickle.build_*list, restore_type_tag), parameters
 * (their tensor), text encoded as bytes. An object that occurs twice is one pointer. */
#ifndef TL_CODEC_PICKLE_H
#define TL_CODEC_PICKLE_H

#include "base/dtype.h"
#include "base/io.h"

typedef enum tl_pickle_kind {
    TL_PICKLE_NONE,
    TL_PICKLE_BOOL,
    TL_PICKLE_INT, /* 64 bits; larger ones are OTHER objects named "int" */
    TL_PICKLE_FLOAT,
    TL_PICKLE_TEXT, /* UTF-8 */
    TL_PICKLE_BYTES,
    TL_PICKLE_LIST,
    TL_PICKLE_TUPLE,
    TL_PICKLE_SET,
    TL_PICKLE_DICT,    /* items: key, value, key, value, ... in order */
    TL_PICKLE_GLOBAL,  /* a class or function: name */
    TL_PICKLE_OBJECT,  /* name called with args (a tuple), then given state */
    TL_PICKLE_STORAGE, /* raw elements in a record of their own */
    TL_PICKLE_TENSOR
} tl_pickle_kind;

typedef struct tl_pickle tl_pickle;

typedef struct tl_pickle_storage {
    tl_str key;      /* record data/KEY */
    tl_str location; /* "cpu", "cuda:0" */
    tl_str type;     /* "FloatStorage", "UntypedStorage" */
    int64_t n;       /* elements, of UntypedStorage bytes */
} tl_pickle_storage;

/* Element types that base/dtype.h does not have are named, dtype is then TL_U8. */
typedef struct tl_pickle_tensor {
    const tl_pickle_storage *storage; /* NULL: no data (meta tensor) */
    tl_dtype dtype;
    bool is_complex; /* pairs of dtype */
    tl_str unknown;  /* name of an element type that is none of ours, else empty */
    int64_t offset;  /* in elements, as the strides */
    int rank;
    const int64_t *shape, *stride;
    /* quantised tensors: real = scale (q - zero); per channel: tensors and the axis */
    bool quantised;
    double scale;
    int64_t zero;
    const tl_pickle *scales, *zeros; /* NULL: one for all */
    int axis;
} tl_pickle_tensor;

struct tl_pickle {
    tl_pickle_kind kind;
    union {
        bool b;
        int64_t i;
        double f;
        tl_str s; /* TEXT, BYTES */
        struct {
            tl_pickle **items;
            size_t n;
        };
        struct {
            tl_str name; /* "collections.OrderedDict", "__torch__.Net" */
            const tl_pickle *args, *state; /* NULL: none */
        };
        tl_pickle_storage storage;
        tl_pickle_tensor *tensor;
    };
};

/* Reads one pickle from bytes (protocols 2 to 5; 0 and 1 as far as PyTorch ever wrote them). name is for
 * messages. M007 on damage, or what is not a pickle. used: bytes up to the end of STOP; may be NULL. */
tl_status tl_pickle_read(tl_context *cx, const char *name, const void *data, size_t size, tl_arena *arena,
                         const tl_pickle **out, size_t *used);

/* Member of a dict by text key, of an object's state (a dict) by attribute; NULL when absent or no such. */
const tl_pickle *tl_pickle_find(const tl_pickle *dict, const char *key);
/* Storage class ("FloatStorage") or dtype ("float32") to element type; false when unknown. */
bool tl_pickle_dtype(tl_str name, tl_dtype *dtype, bool *is_complex);

#endif
