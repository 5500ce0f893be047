/* What the machine and the calls that PyTorch writes share. */
#ifndef TL_CODEC_PICKLE_PRIVATE_H
#define TL_CODEC_PICKLE_PRIVATE_H

#include "codec/pickle.h"

/* NULL on memory failure. */
tl_pickle *tl_pickle_new(tl_arena *arena, tl_pickle_kind kind);
bool tl_pickle_append(tl_arena *arena, tl_pickle *to, tl_pickle *x);
/* What function(*args) is; *why: not even that. */
tl_pickle *tl_pickle_call(tl_arena *arena, tl_pickle *function, tl_pickle *args, const char **why);
/* ('storage', class, key, location, n); NULL when it is none. */
tl_pickle *tl_pickle_storage_of(tl_arena *arena, const tl_pickle *id);
/* ('module', class, file, source) as torch.save wrote the class of a module before 1.6: the class; NULL when it is none. */
tl_pickle *tl_pickle_class_of(const tl_pickle *id);

#endif
