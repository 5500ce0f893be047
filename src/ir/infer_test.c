/* Inference as a table: op, operands, attributes, and what is found, all as text.
 *   operands    types separated by spaces; _ absent; i32[2]=(1,n) with known contents (a constant
 * when all are numbers) found       types of the results separated by spaces, each with =(contents)
 * when they are known, and in lo..hi for integers when the row asks; !message when it fails; & n==m
 * for assumptions */
#include "base/testing.h"
#include "ir/build.h"
#include "ir/scan.h"

typedef struct row {
    const char *op, *operands, *attrs, *found;
} row;

/* clang-format off */
static const row rows[] = {
    /* ---- elementwise ---- */
    {"relu", "f32[n,3]", "", "f32[n,3]"},
    {"neg", "i32[2]=(3,n)", "", "i32[2]=(-3,-n)"},
    {"neg", "i8[2]{scale=0.5}", "", "!neg: operand 0 is quantised, expected plain numbers"},
    {"abs", "bool[2]", "", "!abs: operand 0 has type bool, expected a number"},
    {"exp", "i32[2]", "", "!exp: operand 0 has type i32, expected a float"},
    {"not", "bool[]=(1)", "", "bool[]=(0) in 0..0"},
    {"bitnot", "u8[2]", "", "u8[2] in 0..255"},
    {"bitnot", "i32[1]=(5)", "", "i32[1]=(-6) in -6..-6"},
    {"isnan", "f32[2]", "", "bool[2] in 0..1"},
    {"clip", "i32[2]=(n,-4)", "lo=-2.5 hi=100", "i32[2]=(min(n,100),-2) in -2..100"},
    {"clip", "i64[3]", "lo=0 hi=9", "i64[3] in 0..9"},
    {"clip", "u8[3]", "hi=-1", "!clip: bounds -inf and -1 leave no value of u8"},
    {"cast", "i64[2]=(n,7)", "to=f32", "f32[2]"},
    {"cast", "i64[2]=(n,7)", "to=i32", "i32[2]=(n,7)"},
    {"cast", "i64[1]=(300)", "to=u8", "u8[1] in 0..255"},
    {"cast", "i64[2]=(n,0)", "to=bool", "bool[2]=(1,0)"},
    {"cast", "i64[2]=(z,0)", "to=bool", "bool[2] in 0..1"},
    {"cast", "bool[2]", "to=i32", "i32[2] in 0..1"},
    {"bitcast", "f32[n,2]", "to=i32", "i32[n,2]"},
    {"bitcast", "f32[n,2]", "to=i64", "!bitcast: to i64: expected the width of f32"},
    {"tfl_bitcast", "u8[2]", "to=i8", "i8[2]"},
    {"tfl_bitcast", "i64[n]", "to=i32", "i32[n,2]"},
    {"tfl_bitcast", "i32[n,2]", "to=u64", "u64[n]"},
    {"tfl_bitcast", "i32[n,3]", "to=u64", "!tfl_bitcast: axis 1 of operand 0 has size 3, expected 2"},
    {"add", "f32[n,1,3] f32[4,1]", "", "f32[n,4,3]"},
    {"add", "f32[n] f32[5]", "", "f32[5]"},
    {"add", "f32[n] f32[m]", "", "f32[max(n,m)]"},
    {"add", "f32[z] f32[y]", "", "f32[s0]"},
    {"add", "f32[k] f32[5]", "", "f32[5] & k==5"},
    {"add", "f32[k] f32[2*k]", "", "!add: sizes do not agree, expected k, found 2*k"},
    {"add", "f32[n] f32[n+1]", "", "f32[n+1]"},
    {"add", "f32[3] f32[4]", "", "!add: sizes do not agree, expected 3, found 4"},
    {"add", "f32[3] i32[3]", "", "!add: operand 1 has type i32, expected f32"},
    {"add", "i64[2]=(n,1) i64[]=(2)", "", "i64[2]=(n+2,3)"},
    {"add", "u8[2] u8[2]", "", "u8[2] in 0..255"},
    {"sub", "i32[1]=(n) i32[1]=(n)", "", "i32[1]=(0) in 0..0"},
    {"mul", "i64[2]=(n,3) i64[1]=(h)", "", "i64[2]=(n*h,3*h)"},
    {"div", "i64[]=(n) i64[]=(2)", "", "i64[]=(n//2)"},
    {"div", "i64[]=(-7) i64[]=(2)", "", "i64[]=(-3) in -3..-3"},
    {"div", "i64[]=(n) i64[]=(0)", "", "i64[]"},
    {"div", "i64[]=(n-9) i64[]=(2)", "", "i64[]"},
    {"floordiv", "i64[]=(-7) i64[]=(2)", "", "i64[]=(-4)"},
    {"mod", "i64[]=(n) i64[]=(8)", "", "i64[]=(n%8) in 0..7"},
    {"mod", "i64[]=(-7) i64[]=(3)", "", "i64[]=(2)"},
    {"rem", "i64[]=(-7) i64[]=(3)", "", "i64[]=(-1)"},
    {"rem", "i32[4] i32[]=(3)", "", "i32[4] in -2..2"},
    {"min", "i64[]=(n) i64[]=(4)", "", "i64[]=(min(n,4)) in 1..4"},
    {"max", "i64[]=(n) i64[]=(0)", "", "i64[]=(n)"},
    {"pow", "i64[]=(n) i64[]=(2)", "", "i64[]=(n*n)"},
    {"pow", "f32[2] i32[2]", "", "f32[2]"},
    {"mul", "i64[]=(4611686018427387904) i64[]=(2)", "", "i64[]"},
    {"min", "i64[]=(9223372036854775807) i64[]=(n)", "", "i64[]=(n)"},
    {"shl", "i32[]=(n) i32[]=(3)", "", "i32[]=(8*n)"},
    {"bitand", "i32[4] i32[]=(7)", "", "i32[4] in 0..7"},
    {"bitand", "u8[4] u8[]=(7)", "", "u8[4] in 0..7"},
    {"bitor", "f32[4] f32[4]", "", "!bitor: operand 0 has type f32, expected an integer"},
    {"equal", "i64[3]=(n,3,m) i64[3]=(n,4,5)", "", "bool[3] in 0..1"},
    {"equal", "i64[2]=(n,3) i64[2]=(n+1,3)", "", "bool[2]=(0,1)"},
    {"less", "i64[]=(n) i64[]=(n+1)", "", "bool[]=(1) in 1..1"},
    {"greater_equal", "i64[]=(n) i64[]=(1)", "", "bool[]=(1)"},
    {"less", "f32[2] f32[2]", "", "bool[2] in 0..1"},
    {"and", "bool[2] i32[2]", "", "!and: operand 1 has type i32, expected bool"},
    {"and", "bool[1]=(1) bool[1]=(0)", "", "bool[1]=(0)"},
    {"xor", "bool[1]=(1) bool[1]=(1)", "", "bool[1]=(0)"},
    {"where", "bool[2]=(1,0) i64[2]=(n,m) i64[2]=(h,w)", "", "i64[2]=(n,w)"},
    {"where", "bool[2] i64[2]=(n,m) i64[2]=(n,w)", "", "i64[2]"},
    {"where", "bool[n,1] f32[3] f32[]", "", "f32[n,3]"},
    {"where", "bool[z] f32[1] f32[y,1]", "", "f32[y,z]"},
    {"prelu", "f32[n,4,8] f32[8]", "", "f32[n,4,8]"},
    {"prelu", "f32[n,4,8] f32[4]", "", "!prelu: axis 0 of operand 1 has size 4, expected 8"},
    {"trilu", "f32[3,3]", "upper=false", "f32[3,3]"},
    {"trilu", "f32[3]", "", "!trilu: operand 0 has rank 1, expected at least 2"},
    {"cumsum", "i64[3]=(1,n,2)", "axis=-1", "i64[3]=(1,n+1,n+3)"},
    {"cumsum", "i64[3]=(1,n,2)", "exclusive=true reverse=true", "i64[3]=(n+2,2,0)"},
    {"cumprod", "i64[3]=(1,n,2)", "axis=-1", "i64[3]"},
    {"cumprod", "f32[n,3]", "axis=0 exclusive=true", "f32[n,3]"},
    {"cumprod", "f32[3]", "axis=1", "!cumprod: axis 1 is out of range for rank 1"},
    {"cumsum", "f32[3]", "axis=1", "!cumsum: axis 1 is out of range for rank 1"},

    /* ---- signals ---- */
    {"dft", "f32[b,8,1]", "length=8", "f32[b,8,2]"},
    {"dft", "f32[b,n,2]", "length=9 onesided=true", "f32[b,5,2]"},
    {"dft", "f32[5,2]", "length=9 onesided=true inverse=true", "f32[9,1]"},
    {"dft", "f32[5,1]", "length=9 onesided=true inverse=true",
     "!dft: operand 0 has 1 parts per number, expected 2 or 2"},
    {"dft", "f32[8,3]", "length=8", "!dft: operand 0 has 3 parts per number, expected 1 or 2"},
    {"dft", "f32[8,1]", "length=0", "!dft: attribute length is 0, expected a positive number"},
    {"stft", "f32[b,n,1] f32[4]", "length=4 step=2", "f32[b,n//2-1,3,2]"},
    {"stft", "f32[2,16,2]", "length=4 step=4 onesided=false", "f32[2,4,4,2]"},
    {"stft", "f32[2,16,1] f32[5]", "length=4",
     "!stft: axis 0 of operand 1 has size 5, expected 4"},

    /* ---- normalisation ---- */
    {"softmax", "f32[n,4]", "axis=-1", "f32[n,4]"},
    {"softmax", "f32[n,4]", "axis=2", "!softmax: axis 2 is out of range for rank 2"},
    {"batch_norm", "f32[n,h,w,8] f32[8] f32[8] f32[8] f32[8]", "", "f32[n,h,w,8]"},
    {"batch_norm", "f32[n,h,w,8] f32[8] f32[7] f32[8] f32[8]", "", "!batch_norm: axis 0 of operand 2 has size 7, expected 8"},
    {"group_norm", "f32[2,4,6] f32[6] f32[6]", "groups=4", "!group_norm: 6 channels do not divide into 4 groups"},
    {"layer_norm", "f32[n,t,8] _ f32[8]", "axis=-1", "f32[n,t,8]"},
    {"layer_norm", "f32[n,t,8] f32[8] f32[t,8]", "axis=-2", "f32[n,t,8]"},
    {"rms_norm", "f32[n,t,8] f32[9]", "axis=-1", "!rms_norm: axis 0 of operand 1 has size 9, expected 8"},

    /* ---- contractions ---- */
    {"matmul", "f32[n,4] f32[4,5]", "", "f32[n,5]"},
    {"matmul", "f32[b,n,4] f32[1,4,5]", "", "f32[b,n,5]"},
    {"matmul", "f32[3] f32[3,4]", "", "!matmul: operand 0 has rank 1, expected at least 2"},
    {"matmul", "f32[n,4] f32[3,5]", "", "!matmul: axis 0 of operand 1 has size 3, expected 4"},
    {"attention", "f32[b,6,n,4] f32[b,2,m,4] f32[b,2,m,5]", "scale=0.5", "f32[b,6,n,5]"},
    {"attention", "f32[n,4] f32[m,4] f32[m,5] bool[n,m]", "", "f32[n,5]"},
    {"attention", "f32[6,n,4] f32[h,m,4] f32[h,m,5]", "", "!attention: 6 heads do not share h"},
    {"attention", "f32[2,3,4] f32[2,5,4] f32[2,5,1] f32[2,2,1,5]", "", "!attention: operand 3 has rank 4, expected 0 to 3"},
    {"attention", "f32[1,3,4] f32[1,5,4] f32[1,5,1] bool[2,1,5]", "", "!attention: the mask is larger than the scores"},
    {"conv", "f32[n,h,w,3] f32[8,3,3,3]", "stride=[2,2] pad_lo=[1,1] pad_hi=[1,1]", "f32[n,(h+1)//2,(w+1)//2,8]"},
    {"conv", "f32[1,9,3] f32[4,3,3] f32[4]", "dilation=[2]", "f32[1,5,4]"},
    {"conv", "f32[1,9,4] f32[4,3,2]", "groups=2", "f32[1,7,4]"},
    {"conv", "f32[1,9,4] f32[4,3,3]", "groups=2", "!conv: operand 1 has 3 channels per group, 2 groups do not make 4"},
    {"conv", "f32[1,9,4] f32[5,3,2]", "groups=2", "!conv: 5 filters do not divide into 2 groups"},
    {"conv", "f32[1,9,4] f32[5,3,4] f32[4]", "", "!conv: axis 0 of operand 2 has size 4, expected 5"},
    {"conv", "f32[1,9,4] f32[5,3,4]", "stride=[1,1]", "!conv: attribute stride has 2 elements, expected 1"},
    {"conv", "f32[1,9,4] f32[5,3,4]", "stride=[0]", "!conv: attribute stride is 0, expected a positive number"},
    {"conv", "f32[1,9,4] f32[5,11,4]", "", "!conv: window of extent 11 does not fit in a padded size of 9"},
    {"conv", "f32[1,9,4] f32[5,3,4]", "dilation=[2147483647]", "!conv: window of extent 4294967295 does not fit in a padded size of 9"},
    {"conv_transpose", "f32[n,h,w,4] f32[6,3,3,4]", "stride=[2,2] pad_lo=[1,1] pad_hi=[1,1] out_pad=[1,1]", "f32[n,2*h,2*w,6]"},
    {"max_pool", "f32[n,h,w,4]", "window=[2,2] stride=[2,2]", "f32[n,h//2,w//2,4]"},
    {"max_pool", "f32[1,7,7,4]", "window=[2,2] stride=[2,2] ceil=true", "f32[1,4,4,4]"},
    {"max_pool", "f32[1,h,7,4]", "window=[2,3] stride=[2,2] ceil=true", "f32[1,(h+1)//2,3,4]"},
    /* 6 + 1 + 1: ceil((8 - 2) / 3) + 1 = 3, and the third starts at 6 < 7 */
    {"avg_pool", "f32[1,6,4]", "window=[2] stride=[3] pad_lo=[1] pad_hi=[1] ceil=true", "f32[1,3,4]"},
    /* 5 + 1 + 1: ceil((7 - 2) / 3) + 1 = 3, but the third would start at 6, in the padding */
    {"avg_pool", "f32[1,5,4]", "window=[2] stride=[3] pad_lo=[1] pad_hi=[1] ceil=true", "f32[1,2,4]"},
    {"max_pool", "f32[1,7,7,4]", "window=[2]", "!max_pool: attribute window has 1 elements, expected 2"},
    {"resize", "f32[n,h,w,4]", "sizes=[2*h,10]", "f32[n,2*h,10,4]"},
    {"resize", "f32[n,h,w,4] f32[2] f32[4]", "coord=tf_crop sizes=[h,w]", "f32[n,h,w,4]"},
    {"resize", "f32[n,h,w,4] f32[3]", "sizes=[h,w]", "!resize: axis 0 of operand 1 has size 3, expected 2"},
    {"resize", "f32[n,h,w,4] f32[2]", "sizes=[h,w] scales=[2,2]", "!resize: operand 1 and an attribute for the same"},
    {"einsum", "f32[b,n,4] f32[b,4,m]", "equation=\"bij,bjk->bik\"", "f32[b,n,m]"},
    {"einsum", "f32[b,n,4] f32[4,m]", "equation=\"...ij,jk\"", "f32[b,n,m]"},
    {"einsum", "f32[3,3]", "equation=\"ii->i\"", "f32[3]"},
    {"einsum", "f32[3,4]", "equation=\"ba\"", "f32[4,3]"},
    {"einsum", "f32[2,3] f32[4,5]", "equation=\"ij,jk->ik\"", "!einsum: sizes do not agree, expected 3, found 4"},
    {"einsum", "f32[2,3]", "equation=\"ij->ik\"", "!einsum: equation \"ij->ik\" is not valid"},
    {"einsum", "f32[2,3]", "equation=\"i->i\"", "!einsum: equation \"i->i\" is not valid for operand 0 of rank 2"},

    /* ---- reductions ---- */
    {"reduce_sum", "f32[n,4,5]", "axes=[1,-1]", "f32[n]"},
    {"reduce_sum", "f32[n,4,5]", "axes=[1,-2]", "!reduce_sum: axis 1 is listed twice"},
    {"reduce_mean", "f32[n,4,5]", "axes=[1] keep=true", "f32[n,1,5]"},
    {"reduce_max", "f32[n,4]", "axes=[2]", "!reduce_max: axis 2 is out of range for rank 2"},
    {"reduce_prod", "i64[3]=(n,4,h)", "axes=[0]", "i64[]=(4*n*h)"},
    {"reduce_sum", "u8[100]", "axes=[0]", "u8[] in 0..255"},
    {"reduce_max", "bool[4]", "axes=[0]", "!reduce_max: operand 0 has type bool, expected a number"},
    {"reduce_any", "bool[n,4]", "axes=[1] keep=true", "bool[n,1]"},
    {"argmax", "f32[n,10]", "axis=1", "i64[n] in 0..9"},
    {"argmax", "f32[n,0]", "axis=1", "!argmax: axis 1 is empty, it has no extremum"},
    {"topk", "f32[n,10]", "axis=1 k=[3]", "f32[n,3] i64[n,3]"},
    {"topk", "f32[n,10]", "axis=1 k=[11]", "!topk: k is 11, axis 1 has size 10"},

    /* ---- movement ---- */
    {"reshape", "f32[n,4,5]", "dims=[n,20]", "f32[n,20]"},
    {"reshape", "f32[n,4,5]", "dims=[20*n]", "f32[20*n]"},
    {"reshape", "f32[n,4,5]", "dims=[3,20]", "f32[3,20] & 20*n==60"},
    {"reshape", "f32[2,3]", "dims=[7]", "!reshape: the operand has 6 elements, the result 7"},
    {"reshape", "i64[]=(n)", "dims=[1]", "i64[1]=(n)"},
    {"reshape", "i8[4,6]{axis=1 scale=[1,2,3,4,5,6]}", "dims=[2,2,6]", "i8[2,2,6]{axis=2 scale=[1,2,3,4,5,6]}"},
    {"reshape", "i8[4,6]{axis=1 scale=[1,2,3,4,5,6]}", "dims=[24]", "!reshape: operand 0 is quantised per axis, in a way that its result could not be"},
    {"reshape", "f32[1]", "dims=[1,1,1,1,1,1,1,1,1,1,1,1,1]", "!reshape: result of rank 13, expected at most 12"},
    {"reshape", "f32[1]", "dims=[-1]", "!reshape: axis 0 of the result has size -1"},
    {"reshape", "f32[1]", "dims=[4294967296,4294967296]", "!reshape: the result is too large, axis 1 has size 4294967296"},
    {"broadcast_to", "f32[n,1]", "dims=[2,n,4]", "f32[2,n,4]"},
    {"broadcast_to", "f32[3]", "dims=[4]", "!broadcast_to: axis 0 of operand 0 has size 3, expected 1 or 4"},
    {"broadcast_to", "i64[]=(n)", "dims=[2]", "i64[2]=(n,n)"},
    {"transpose", "f32[n,h,w]", "perm=[0,2,1]", "f32[n,w,h]"},
    {"transpose", "f32[n,h,w]", "perm=[0,2,2]", "!transpose: axis 2 is listed twice"},
    {"transpose", "i8[2,3]{axis=0 scale=[1,2]}", "perm=[1,0]", "i8[3,2]{axis=1 scale=[1,2]}"},
    {"concat", "f32[n,3] f32[m,3]", "axis=0", "f32[n+m,3]"},
    {"concat", "i64[1]=(n) i64[2]=(3,h)", "axis=0", "i64[3]=(n,3,h)"},
    {"concat", "f32[n,3] f32[m,4]", "axis=0", "!concat: axis 1 of operand 1 has size 4, expected 3"},
    {"concat", "f32[n,k] f32[m,4]", "axis=0", "f32[n+m,4] & k==4"},
    {"concat", "i8[1]{scale=1} i8[1]{scale=2}", "axis=0", "!concat: operands 0 and 1 are quantised differently"},
    {"concat", "f32[2] _", "axis=0", "!concat: operand 1 is absent"},
    {"split", "f32[n,5]", "axis=1 sizes=[2,3]", "f32[n,2] f32[n,3]"},
    {"split", "i64[3]=(n,m,h)", "axis=0 sizes=[1,2]", "i64[1]=(n) i64[2]=(m,h)"},
    {"split", "f32[n,5]", "axis=1 sizes=[2,4]", "!split: axis 1 of operand 0 has size 5, expected 6"},
    {"slice", "f32[n,8]", "begin=[0,2] size=[n-1,3]", "f32[n-1,3]"},
    {"slice", "i64[4]=(n,c,h,w)", "begin=[2] size=[2]", "i64[2]=(h,w)"},
    {"slice", "i64[4]=(n,c,h,w)", "begin=[3] size=[4] stride=[-1]", "i64[4]=(w,h,c,n)"},
    {"slice", "f32[8]", "begin=[6] size=[3]", "!slice: axis 0: elements 6 to 8 of 8"},
    {"slice", "f32[8]", "begin=[0] size=[2] stride=[0]", "!slice: stride of axis 0 is 0"},
    {"slice", "f32[8]", "begin=[0] size=[-2]", "!slice: axis 0 of the result has size -2"},
    {"pad", "f32[n,8]", "lo=[0,1] hi=[m,2]", "f32[n+m,11]"},
    {"pad", "i64[2]=(n,m)", "lo=[1] hi=[1]", "i64[4]=(0,n,m,0)"},
    {"pad", "f32[n,3]", "lo=[0,3] hi=[0,0] mode=reflect", "!pad: axis 1 of size 3 cannot be reflected by 3"},
    {"pad", "f32[3] i32[]", "lo=[1] hi=[0]", "!pad: operand 1 has type i32, expected f32"},
    {"tile", "f32[n,3]", "dims=[2,m]", "f32[2*n,3*m]"},
    {"tile", "i64[2]=(n,m)", "dims=[2]", "i64[4]=(n,m,n,m)"},
    {"custom", "f32[2]", "code=\"f\" types=\"i64,f32\" ranks=[2,0] dims=[3,n]", "i64[3,n] f32[]"},
    {"custom", "f32[2]", "code=\"f\" types=\"i64,f32\" ranks=[2,0] dims=[3]", "!custom: result 0 of rank 2"},
    {"custom", "f32[2]", "code=\"f\" types=\"i64,f32\" ranks=[0,0] dims=[3]",
     "!custom: types of more than 2 results"},
    {"reverse_sequence", "f32[t,b,3] i64[b]", "", "f32[t,b,3]"},
    {"reverse_sequence", "f32[4,2] i64[3]", "", "!reverse_sequence: axis 0 of operand 1 has size 3, expected 2"},
    {"reverse_sequence", "f32[4,2] i64[4]", "axis=-2 batch_axis=0", "!reverse_sequence: axis 0 is the axis of the batch, too"},
    {"tfl_reverse_sequence", "f32[b,t] i32[b]", "seq_dim=1", "f32[b,t]"},
    {"reverse", "i64[2]=(n,m)", "axes=[0]", "i64[2]=(m,n)"},
    {"gather", "f32[v,8] i64[n,t]", "axis=0", "f32[n,t,8]"},
    {"gather", "i64[4]=(n,c,h,w) i64[]=(-2)", "axis=0", "i64[]=(h)"},
    {"gather", "i64[4]=(n,c,h,w) i64[2]=(1,0)", "axis=0", "i64[2]=(c,n)"},
    {"gather", "f32[n,7,8] i64[n,3]", "axis=1 batch_dims=1", "f32[n,3,8]"},
    {"gather", "f32[n,7,8] f32[n,3]", "axis=1", "!gather: operand 1 has type f32, expected an integer"},
    {"gather", "f32[n,7] i64[n]", "axis=0 batch_dims=1", "!gather: batch_dims is 1, axis 0, operand 1 has rank 1"},
    {"gather_nd", "f32[n,7,8] i64[m,2]", "", "f32[m,8]"},
    {"gather_nd", "f32[n,7,8] i64[n,m,2]", "batch_dims=1", "f32[n,m]"},
    {"gather_nd", "f32[7] i64[m,2]", "", "!gather_nd: the last axis of operand 1 has size 2, expected at most 1"},
    {"gather_elements", "f32[n,7] i64[n,3]", "axis=1", "f32[n,3]"},
    {"gather_elements", "f32[2,7] i64[3,3]", "axis=1", "!gather_elements: axis 0 of operand 1 has size 3, expected at most 2"},
    {"scatter_nd", "f32[n,7,8] i64[m,2] f32[m,8]", "", "f32[n,7,8]"},
    {"scatter_nd", "f32[n,7,8] i64[m,2] f32[m,9]", "", "!scatter_nd: axis 1 of operand 2 has size 9, expected 8"},
    {"scatter_elements", "f32[n,7] i64[n,3] f32[n,3]", "axis=1", "f32[n,7]"},
    {"one_hot", "i64[n] f32[] f32[]", "depth=[10]", "f32[n,10]"},
    {"one_hot", "i64[n] f32[] f32[]", "axis=0 depth=[10]", "f32[10,n]"},
    {"depth_to_space", "f32[n,h,w,8]", "block=2", "f32[n,2*h,2*w,2]"},
    {"depth_to_space", "f32[n,h,w,6]", "block=2", "!depth_to_space: axis 3 of size 6 does not divide by 4"},
    {"space_to_depth", "f32[n,2*h,4,3]", "block=2", "f32[n,h,2,12]"},
    {"space_to_depth", "f32[n,h,4,3]", "block=2", "f32[n,h//2,2,12] & 0==h%2"},
    {"range", "i64[]=(0) i64[]=(n) i64[]=(1)", "", "i64[n] in 0..4095"},
    {"range", "i64[]=(0) i64[]=(n) i64[]=(2)", "", "i64[(n+1)//2]"},
    {"range", "i32[]=(5) i32[]=(0) i32[]=(-2)", "", "i32[3]=(5,3,1)"},
    {"range", "i32[]=(5) i32[]=(0) i32[]=(1)", "", "i32[0]"},
    {"range", "i32[]=(5) i32[]=(0) i32[]=(0)", "", "!range: operand 2 is 0, the range has no end"},
    {"range", "i32[] i32[] i32[]", "", "i32[s0]"},
    {"nonzero", "f32[3,4]", "", "i64[s0,2] in 0..3"},
    {"dynamic_slice", "f32[n,8] i64[2]", "size=[1,4]", "f32[1,4]"},
    {"dynamic_slice", "f32[n,8] i64[2]", "size=[1,9]", "!dynamic_slice: axis 1: a part of size 9 of 8"},
    {"dynamic_update_slice", "f32[n,8] f32[1,8] i64[2]", "", "f32[n,8]"},
    {"shape_expr", "", "dims=[n,3,2*h]", "i64[3]=(n,3,2*h)"},

    /* ---- quantisation ---- */
    {"quantize", "f32[n,3]", "to=i8 quant={scale=0.5 zero=3}", "i8[n,3]{scale=0.5 zero=3}"},
    {"quantize", "f32[n,3]", "to=i8", "!quantize: no scale is given"},
    {"quantize", "f32[n,3]", "to=i8 quant={axis=1 scale=[1,2]}", "!quantize: 2 scales along axis 1 of size 3"},
    {"quantize", "f32[n,3]", "to=f16 quant={scale=1}", "!quantize: type f16 does not hold quantised numbers"},
    {"dequantize", "i8[n,3]{scale=0.5}", "", "f32[n,3]"},
    {"dequantize", "i8[n,3]", "", "!dequantize: operand 0 has type i8[n,3], expected a quantised one"},

    /* ---- TFLite: elementwise ---- */
    {"tfl_add", "f32[n,1] f32[4]", "activation=relu", "f32[n,4]"},
    {"tfl_add", "i8[4]{scale=1} i8[4]{scale=2}", "quant={scale=3}", "i8[4]{scale=3}"},
    {"tfl_mul", "i32[2]=(n,3) i32[]=(2)", "", "i32[2]=(2*n,6)"},
    {"tfl_floor_div", "i32[]=(n) i32[]=(2)", "", "i32[]=(n//2)"},
    {"tfl_relu", "i8[4]{scale=1}", "quant={scale=1}", "i8[4]{scale=1}"},
    {"tfl_cast", "i32[2]=(n,1)", "to=i64", "i64[2]=(n,1)"},
    {"tfl_less", "i32[]=(n) i32[]=(0)", "", "bool[]=(0)"},
    {"tfl_select_v2", "bool[n,1] f32[4] f32[]", "", "f32[n,4]"},
    {"tfl_select", "bool[n] f32[n,4] f32[n,4]", "", "f32[n,4]"},
    {"tfl_select", "bool[3] f32[2,4] f32[2,4]", "", "!tfl_select: axis 0 of operand 0 has size 3, expected 2"},
    {"tfl_add_n", "f32[n] f32[n] f32[n]", "", "f32[n]"},
    {"tfl_quantize", "f32[4]", "to=u8 quant={scale=0.5 zero=128}", "u8[4]{scale=0.5 zero=128}"},
    {"tfl_dequantize", "f16[4]", "", "f32[4]"},
    {"tfl_logical_not", "bool[4]", "", "bool[4]"},

    /* ---- TFLite: windows ---- */
    {"tfl_conv_2d", "f32[n,h,w,3] f32[8,3,3,3] f32[8]", "stride_h=2 stride_w=2", "f32[n,(h+1)//2,(w+1)//2,8]"},
    {"tfl_conv_2d", "f32[n,9,8,3] f32[8,3,2,3] f32[8]", "padding=valid stride_h=2", "f32[n,4,7,8]"},
    {"tfl_conv_2d", "f32[n,9,8,4] f32[8,3,2,2] f32[8]", "padding=valid", "f32[n,7,7,8]"},
    {"tfl_conv_2d", "f32[n,9,8,4] f32[8,3,2,3] f32[8]", "", "!tfl_conv_2d: axis 3 of operand 1 has size 3, expected a divisor of 4"},
    {"tfl_depthwise_conv_2d", "f32[n,9,8,4] f32[1,3,3,8] f32[8]", "", "f32[n,9,8,8]"},
    {"tfl_transpose_conv", "i32[4]=(n,16,16,6) f32[6,3,3,4] f32[n,8,8,4] f32[6]", "stride_h=2 stride_w=2", "f32[n,16,16,6]"},
    {"tfl_transpose_conv", "i32[4]=(n,18,16,6) f32[6,3,3,4] f32[n,8,8,4]", "stride_h=2 stride_w=2", "!tfl_transpose_conv: a result of size 18 stands for an operand of size 9, found 8"},
    {"tfl_conv_3d", "f32[n,4,9,8,3] f32[1,3,3,3,5]", "padding=valid", "f32[n,4,7,6,5]"},
    {"tfl_fully_connected", "f32[n,4,8] f32[5,8] f32[5]", "keep_num_dims=true", "f32[n,4,5]"},
    {"tfl_fully_connected", "f32[n,4,8] f32[5,32]", "", "f32[n,5]"},
    {"tfl_fully_connected", "f32[n,8] i8[5,8]{axis=0 scale=[1,2,3,4,5]} _", "", "f32[n,5]"},
    {"tfl_fully_connected", "f32[3,5] f32[5,8]", "", "!tfl_fully_connected: 15 elements do not make rows of 8"},
    {"tfl_batch_matmul", "f32[b,4,n] f32[1,5,4]", "adj_x=true adj_y=true", "f32[b,n,5]"},
    {"tfl_max_pool_2d", "f32[n,h,w,3]", "stride_h=2 stride_w=2 filter_h=2 filter_w=2", "f32[n,(h+1)//2,(w+1)//2,3]"},
    {"tfl_average_pool_2d", "f32[n,8,8,3]", "padding=valid filter_h=3 filter_w=3", "f32[n,6,6,3]"},
    {"tfl_resize_bilinear", "f32[n,h,w,3] i32[2]=(2*h,10)", "", "f32[n,2*h,10,3]"},
    {"tfl_resize_bilinear", "f32[n,h,w,3] i32[2]", "", "f32[n,s0,s1,3]"},

    /* ---- TFLite: reductions ---- */
    {"tfl_mean", "f32[n,4,5] i32[2]=(1,2)", "keep_dims=true", "f32[n,1,1]"},
    {"tfl_sum", "f32[n,4,5] i32[]=(-1)", "", "f32[n,4]"},
    {"tfl_sum", "f32[3,4,5] i32[1]", "", "f32[s0,s1]"},
    {"tfl_reduce_prod", "i32[2]=(n,3) i32[1]=(0)", "keep_dims=true", "i32[1]=(3*n)"},
    {"tfl_arg_max", "f32[n,10] i32[]=(-1)", "type=i64", "i64[n] in 0..9"},
    {"tfl_topk_v2", "f32[n,10] i32[]=(3)", "", "f32[n,3] i32[n,3]"},
    {"tfl_topk_v2", "f32[n,10] i32[]", "", "f32[n,s0] i32[n,s0]"},
    {"tfl_cumsum", "f32[n,10] i32[]=(1)", "", "f32[n,10]"},

    /* ---- TFLite: movement ---- */
    {"tfl_reshape", "f32[n,4,5] i32[2]=(-1,20)", "", "f32[n,20]"},
    {"tfl_reshape", "f32[n,4,5] i32[2]=(n,-1)", "", "f32[n,20]"},
    {"tfl_reshape", "f32[n,4,5]", "new_shape=[-1,5]", "f32[4*n,5]"},
    {"tfl_reshape", "f32[1]", "new_shape=[0]", "f32[]"},
    {"tfl_reshape", "f32[n,4] i32[3]", "", "f32[s0,s1,s2]"},
    {"tfl_reshape", "f32[6] i32[2]=(-1,-1)", "", "!tfl_reshape: the shape has -1 at axes 0 and 1"},
    {"tfl_reshape", "f32[6] i32[2]=(-1,4)", "", "!tfl_reshape: the operand has 6 elements, the result 4"},
    {"tfl_reshape", "f32[6] i32[2]=(-1,0)", "", "!tfl_reshape: the operand has 6 elements, the result 0"},
    {"tfl_squeeze", "f32[n,1,4,1]", "squeeze_dims=[1,-1]", "f32[n,4]"},
    {"tfl_squeeze", "f32[2,1,4,1]", "", "f32[2,4]"},
    {"tfl_squeeze", "f32[n,1]", "", "!tfl_squeeze: axis 0 of size n may be 1 or not, the rank is unknown"},
    {"tfl_squeeze", "f32[2,3]", "squeeze_dims=[1]", "!tfl_squeeze: axis 1 of operand 0 has size 3, expected 1"},
    {"tfl_expand_dims", "f32[n,4] i32[]=(-1)", "", "f32[n,4,1]"},
    {"tfl_transpose", "f32[n,h,w] i32[3]=(2,0,1)", "", "f32[w,n,h]"},
    {"tfl_concatenation", "i32[1]=(n) i32[1]=(4)", "axis=0", "i32[2]=(n,4)"},
    {"tfl_pack", "i32[]=(n) i32[]=(4)", "axis=0", "i32[2]=(n,4)"},
    {"tfl_pack", "f32[n,4] f32[n,4] f32[n,4]", "axis=-1", "f32[n,4,3]"},
    {"tfl_unpack", "i32[2]=(n,4)", "num=2 axis=0", "i32[]=(n) i32[]=(4)"},
    {"tfl_unpack", "f32[n,3]", "num=2 axis=1", "!tfl_unpack: axis 1 of operand 0 has size 3, expected 2"},
    {"tfl_split", "i32[]=(1) f32[n,6]", "num_splits=2", "f32[n,3] f32[n,3]"},
    {"tfl_split", "i32[]=(1) f32[n,7]", "num_splits=2", "!tfl_split: axis 1 of size 7 does not divide into 2 parts"},
    {"tfl_split_v", "f32[n,6] i32[2]=(-1,2) i32[]=(1)", "num_splits=2", "f32[n,4] f32[n,2]"},
    {"tfl_split_v", "f32[n,6] i32[2] i32[]=(1)", "num_splits=2", "f32[n,s0] f32[n,s1]"},
    {"tfl_slice", "f32[n,6] i32[2]=(1,2) i32[2]=(-1,3)", "", "f32[n-1,3]"},
    {"tfl_slice", "f32[n,6] i32[2] i32[2]=(-1,3)", "", "f32[s0,3]"},
    {"tfl_strided_slice", "i32[4]=(n,h,w,3) i32[1]=(1) i32[1]=(3) i32[1]=(1)", "", "i32[2]=(h,w)"},
    {"tfl_strided_slice", "i32[4]=(n,h,w,3) i32[1]=(-2) i32[1]=(0) i32[1]=(1)", "shrink_axis_mask=1", "i32[]=(w)"},
    {"tfl_strided_slice", "f32[n,8] i32[2]=(0,7) i32[2]=(0,0) i32[2]=(1,-2)", "begin_mask=1 end_mask=3", "f32[n,4]"},
    {"tfl_strided_slice", "f32[n,h,8] i32[2]=(0,1) i32[2]=(0,0) i32[2]=(1,1)", "ellipsis_mask=1 end_mask=2", "f32[n,h,7]"},
    {"tfl_strided_slice", "f32[n,8] i32[2]=(0,0) i32[2]=(0,2147483647) i32[2]=(1,1)", "new_axis_mask=1 end_mask=2", "f32[1,n,8]"},
    {"tfl_strided_slice", "f32[8] i32[1]=(-100) i32[1]=(100) i32[1]=(3)", "", "f32[3]"},
    {"tfl_strided_slice", "f32[8] i32[1]=(2) i32[1]=(3) i32[1]=(1)", "offset=true", "f32[3]"},
    {"tfl_strided_slice", "f32[8,4] i32[1] i32[1] i32[1]=(1)", "", "f32[s0,4]"},
    {"tfl_strided_slice", "f32[8] i32[1]=(0) i32[1]=(3) i32[1]=(0)", "", "!tfl_strided_slice: stride 0 is 0"},
    {"tfl_strided_slice", "f32[8] i32[2]=(0,0) i32[2]=(3,3) i32[2]=(1,1)", "", "!tfl_strided_slice: 2 axes are indexed, operand 0 has rank 1"},
    {"tfl_pad", "f32[n,8] i32[2,2]=(0,0,1,2)", "", "f32[n,11]"},
    {"tfl_pad", "f32[n,8] i32[2,2]", "", "f32[s0,s1]"},
    {"tfl_padv2", "f32[n,8] i32[2,2]=(0,0,1,2) f32[]", "", "f32[n,11]"},
    {"tfl_mirror_pad", "f32[n,2] i32[2,2]=(0,0,2,0)", "mode=reflect", "!tfl_mirror_pad: axis 1 of size 2 cannot be reflected by 2"},
    {"tfl_mirror_pad", "f32[n,2] i32[2,2]=(0,0,2,0)", "mode=symmetric", "f32[n,4]"},
    {"tfl_tile", "f32[n,3] i32[2]=(2,m)", "", "f32[2*n,3*m]"},
    {"tfl_broadcast_to", "f32[n,1] i32[3]=(2,n,4)", "", "f32[2,n,4]"},
    {"tfl_reverse_v2", "i32[2]=(n,m) i32[1]=(0)", "", "i32[2]=(m,n)"},
    {"tfl_gather", "i32[4]=(n,h,w,3) i32[2]=(1,2)", "axis=0", "i32[2]=(h,w)"},
    {"tfl_gather", "i8[n,8]{scale=0.5} i32[m]", "axis=0", "i8[m,8]{scale=0.5}"},
    {"tfl_gather_nd", "f32[n,7,8] i32[m,2]", "", "f32[m,8]"},
    {"tfl_scatter_nd", "i32[m,1] f32[m,8] i32[2]=(n,8)", "", "f32[n,8]"},
    {"tfl_embedding_lookup", "i32[n] f32[v,8]", "", "f32[n,8]"},
    {"tfl_embedding_lookup", "i32[n] i8[v,8]{scale=1}", "", "f32[n,8]"},
    {"tfl_dynamic_update_slice", "f32[n,8] f32[1,8] i32[2]", "", "f32[n,8]"},
    {"tfl_depth_to_space", "f32[n,h,w,8]", "block_size=2", "f32[n,2*h,2*w,2]"},
    {"tfl_batch_to_space_nd", "f32[4*n,h,w,3] i32[2]=(2,2) i32[2,2]=(0,1,0,0)", "", "f32[n,2*h-1,2*w,3]"},
    {"tfl_space_to_batch_nd", "f32[n,7,8,3] i32[2]=(2,2) i32[2,2]=(0,1,0,0)", "", "f32[4*n,4,4,3]"},
    {"tfl_fill", "i32[2]=(n,3) f32[]", "", "f32[n,3]"},
    {"tfl_fill", "i32[1]=(2) i32[]=(n)", "", "i32[2]=(n,n)"},
    {"tfl_range", "i32[]=(0) i32[]=(n) i32[]=(1)", "", "i32[n]"},
    {"tfl_shape", "f32[n,h,3]", "", "i32[3]=(n,h,3)"},
    {"tfl_rank", "f32[n,h,3]", "", "i32[]=(3)"},
    {"tfl_where", "bool[n,4]", "", "i64[s0,2]"},
    {"tfl_one_hot", "i32[n] i32[]=(10) f32[] f32[]", "", "f32[n,10]"},

    /* ---- hostile ---- */
    {"concat", "f32[9223372036854775806] f32[9223372036854775806]", "axis=0", "!concat: the result is too large, axis 0 has size 9223372036854775807"},
    {"tile", "f32[4294967296]", "dims=[9223372036854775807]", "!tile: the result is too large, axis 0 has size 9223372036854775807"},
    {"pad", "f32[3]", "lo=[9223372036854775807] hi=[5]", "!pad: the result is too large, axis 0 has size 9223372036854775807"},
    {"pad", "f32[3]", "lo=[-9] hi=[5]", "!pad: axis 0 of the result has size -1"},
    {"conv_transpose", "f32[1,0,4] f32[6,1,4]", "", "f32[1,0,6]"},
    {"max_pool", "f32[1,3,4]", "window=[9223372036854775807] ceil=true", "!max_pool: attribute window is 9223372036854775807, expected a positive number of 31 bits"},
    {"slice", "f32[8]", "begin=[9223372036854775807] size=[2]", "!slice: axis 0: elements 9223372036854775807 to 9223372036854775807 of 8"},
    {"depth_to_space", "f32[1,1,1,4]", "block=4294967296", "!depth_to_space: attribute block is 4294967296, expected a positive number of 31 bits"},
    {"depth_to_space", "f32[1,1,1,4]", "block=0", "!depth_to_space: attribute block is 0, expected a positive number"},
    {"gather", "f32[1,1,1,1,1,1,1] i64[1,1,1,1,1,1,1]", "axis=0", "!gather: result of rank 13, expected at most 12"},
    {"transpose", "f32[2]", "perm=[9223372036854775807]", "!transpose: axis 9223372036854775807 is out of range for rank 1"},
    {"tfl_reshape", "f32[2] i32[13]", "", "!tfl_reshape: operand 1 has 13 elements, expected at most 12"},
    {"tfl_split_v", "f32[4] i32[2]=(9,-1) i32[]=(0)", "num_splits=2", "!tfl_split_v: axis 0 of the result has size -5"},
    {"range", "i64[]=(-9223372036854775807) i64[]=(9223372036854775807) i64[]=(1)", "", "!range: the result is too large, 9223372036854775806 elements"},
};
/* clang-format on */

typedef struct bench {
    tl_context *cx;
    tl_arena arena;
    tl_model *m;
    tl_builder b;
} bench;

/* Sizes: z and y may be 0, k is at least 2, the others are 1 to 4096. */
static void declare_symbols(bench *t)
{
    for (const char *name = "nmhwbvtcz"; *name; name++)
        tl_dims_symbol(t->m->dims, (tl_str){name, 1}, (tl_interval){*name == 'z' ? 0 : 1, 4096}, 0);
    tl_dims_symbol(t->m->dims, TL_STR("y"), (tl_interval){0, 4096}, 0);
    tl_dims_symbol(t->m->dims, TL_STR("k"), (tl_interval){2, 4096}, 0);
}

static tl_value *make_operand(bench *t, tl_scan *s)
{
    const tl_dim *contents[TL_SHAPE_VALUE_MAX];
    tl_type type;
    size_t n = 0;
    bool known = true;
    int64_t v[TL_SHAPE_VALUE_MAX], shape[TL_MAX_RANK];
    if (tl_scan_take_word(s, "_"))
        return NULL;
    assert_true(tl_type_scan(s, t->m->dims, false, &type));
    if (!tl_scan_take(s, "="))
        return tl_graph_add_input(t->b.graph, type, TL_STR("x"));
    assert_true(tl_scan_take(s, "("));
    do {
        assert_true(tl_dim_scan(s, t->m->dims, false, &contents[n]));
        known &= tl_dim_is_const(contents[n], &v[n]);
        n++;
    } while (tl_scan_take(s, ","));
    assert_true(tl_scan_take(s, ")"));
    if (!known)
        return tl_build_cast(&t->b, tl_build_shape_expr(&t->b, contents, n, type.rank), type.dtype);
    uint64_t data[TL_SHAPE_VALUE_MAX];
    for (size_t i = 0; i < n; i++)
        tl_dtype_set_i64(type.dtype, data, (int64_t)i, v[i]);
    assert_true(tl_type_shape(&type, shape));
    tl_const *c = tl_const_bytes(&t->arena, type.dtype, type.rank, shape, data);
    return tl_build_const(t->m, c, TL_STR(""));
}

static void describe(tl_text *text, const tl_value *value, bool range)
{
    int64_t n = 1;
    tl_type_print(&value->fact.type, text);
    if (value->fact.type.rank)
        (void)tl_dim_is_const(value->fact.type.dims[0], &n);
    for (int64_t i = 0; value->fact.shape_value && i < n; i++) {
        tl_text_add(text, i ? "," : "=(");
        tl_dim_print(value->fact.shape_value[i], text);
        tl_text_add(text, i + 1 == n ? ")" : "");
    }
    if (range)
        tl_text_printf(text, " in %lld..%lld", (long long)value->fact.range.lo,
                       (long long)value->fact.range.hi);
}

static const char *run_row(bench *t, const row *r)
{
    tl_value *in[16];
    size_t n_in = 0;
    tl_op op;
    const void *attrs;
    tl_text text;
    tl_text_init(&text, &t->arena);
    assert_true(tl_op_find(tl_str_from(r->op), &op));
    tl_scan operands = tl_scan_start(t->cx, &t->arena, "operands", tl_str_from(r->operands));
    while (!tl_scan_at_end(&operands))
        in[n_in++] = make_operand(t, &operands);
    tl_scan scan = tl_scan_start(t->cx, &t->arena, r->attrs, tl_str_from(r->attrs));
    assert_true(tl_attrs_scan(&scan, t->m->dims, tl_op_get(op)->attrs, &attrs));
    assert_true(tl_scan_at_end(&scan));
    /* ops with a variable number of results are given two */
    tl_node *node = tl_build_node(&t->b, op, in, n_in, attrs, 2, NULL, 0);
    if (tl_context_status(t->cx) != TL_OK) {
        tl_text_printf(&text, "!%s", t->cx->diags.v[0]->what);
        assert_true(node->out[0]->poison);
        return tl_text_get(&text);
    }
    for (size_t i = 0; i < node->n_out; i++) {
        tl_text_add(&text, i ? " " : "");
        describe(&text, node->out[i], strstr(r->found, " in ") != NULL);
    }
    for (size_t i = 0; i < t->m->assumptions.n; i++) {
        tl_text_add(&text, " & ");
        tl_dim_print(t->m->assumptions.v[i].a, &text);
        tl_text_add(&text, "==");
        tl_dim_print(t->m->assumptions.v[i].b, &text);
    }
    return tl_text_get(&text);
}

static void finds_what_the_table_says(void **state)
{
    (void)state;
    int n_wrong = 0;
    for (size_t i = 0; i < TL_COUNT(rows); i++) {
        bench t = {.cx = tl_context_create(NULL, NULL)};
        tl_arena_init(&t.arena, t.cx);
        t.m = tl_model_new(t.cx, &t.arena);
        t.b = tl_builder_at_end(tl_graph_new(t.m, TL_STR("main")));
        t.b.legal = 0;
        declare_symbols(&t);
        const char *found = run_row(&t, &rows[i]);
        if (strcmp(found, rows[i].found) != 0) {
            print_error("%s(%s) %s\n  expected %s\n  found    %s\n", rows[i].op, rows[i].operands,
                        rows[i].attrs, rows[i].found, found);
            n_wrong++;
        }
        tl_arena_release(&t.arena);
        tl_context_destroy(t.cx);
    }
    assert_int_equal(n_wrong, 0);
}

/* ---- whatever a file may say ---- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static int64_t odd_number(uint64_t *r)
{
    static const int64_t odd[] = {0, 1,         2,         3,         4,         -1, -2,
                                  7, INT64_MAX, INT64_MIN, INT32_MAX, 1ll << 33, 12};
    return odd[next_random(r) % TL_COUNT(odd)];
}

static const tl_dim *odd_dim(bench *t, uint64_t *r)
{
    const tl_dim *n =
        tl_dim_symbol(t->m->dims, tl_dims_get_symbol(t->m->dims, next_random(r) % 11));
    switch (next_random(r) % 8) {
    case 0:
        return n;
    case 1:
        return tl_dim_add_i(t->m->dims, n, odd_number(r));
    case 2:
        return tl_dim_mul_i(t->m->dims, n, odd_number(r));
    case 3:
        return tl_dim_const(t->m->dims, odd_number(r));
    default:
        return tl_dim_const(t->m->dims, (int64_t)(next_random(r) % 5));
    }
}

static tl_value *odd_operand(bench *t, uint64_t *r)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = (int)(next_random(r) % (next_random(r) % 4 ? 5 : TL_MAX_RANK + 1));
    tl_dtype dtype = next_random(r) % 2 ? TL_F32 : (tl_dtype)(next_random(r) % TL_DTYPE_COUNT);
    int64_t v[8];
    size_t n = next_random(r) % TL_COUNT(v);
    for (int i = 0; i < rank; i++)
        dims[i] = odd_dim(t, r);
    for (size_t i = 0; i < TL_COUNT(v); i++)
        v[i] = odd_number(r);
    switch (next_random(r) % 6) {
    case 0:
        return NULL;
    case 1:
        return tl_build_cast(&t->b, tl_build_i64s(t->m, v, n),
                             next_random(r) % 2 ? TL_I32 : TL_I64);
    case 2:
        return tl_build_cast(&t->b, tl_build_shape_expr(&t->b, dims, (size_t)rank, 1), TL_I32);
    default:
        return tl_graph_add_input(t->b.graph, tl_type_make(&t->arena, dtype, rank, dims),
                                  TL_STR("x"));
    }
}

/* Attributes of random numbers. */
static const void *odd_attrs(bench *t, tl_op op, uint64_t *r)
{
    tl_attrs_id id = tl_op_get(op)->attrs;
    size_t n, size = tl_attrs_size(id), length = next_random(r) % 5;
    const tl_field *fields = tl_attrs_fields(id, &n);
    char *attrs = tl_arena_copy(&t->arena, tl_attrs_default(id), size);
    for (size_t i = 0; i < n; i++) {
        int64_t *ints = TL_NEW_ARRAY(&t->arena, int64_t, 4);
        const tl_dim **dims = TL_NEW_ARRAY(&t->arena, const tl_dim *, 4);
        tl_ints int_list = {length, ints};
        tl_dim_list dim_list = {length, dims};
        int64_t number = odd_number(r);
        for (size_t k = 0; k < 4; k++) {
            ints[k] = odd_number(r);
            dims[k] = odd_dim(t, r);
        }
        if (next_random(r) % 3 == 0)
            continue;
        if (fields[i].kind == TL_FIELD_i)
            memcpy(attrs + fields[i].offset, &number, sizeof(number));
        else if (fields[i].kind == TL_FIELD_ints)
            memcpy(attrs + fields[i].offset, &int_list, sizeof(int_list));
        else if (fields[i].kind == TL_FIELD_dims)
            memcpy(attrs + fields[i].offset, &dim_list, sizeof(dim_list));
    }
    return attrs;
}

/* A result is poison with a recorded reason, or a type that says nothing impossible. */
static void check_result(bench *t, const tl_value *value)
{
    if (value->poison) {
        assert_int_not_equal(tl_context_status(t->cx), TL_OK);
        return;
    }
    const tl_type *type = &value->fact.type;
    assert_in_range(type->rank, 0, TL_MAX_RANK);
    assert_true(value->fact.range.lo <= value->fact.range.hi);
    for (int i = 0; i < type->rank; i++)
        assert_true(type->dims[i]->range.hi >= 0 || tl_context_status(t->cx) != TL_OK);
}

/* Inferring everything again finds the same, the same symbols too. */
static void check_again(bench *t)
{
    TL_VEC(tl_type) before = {0};
    size_t i = 0;
    TL_EACH_NODE(node, t->b.graph)
    for (size_t k = 0; k < node->n_out; k++)
        assert_true(tl_vec_push(&t->arena, &before, node->out[k]->fact.type));
    (void)tl_graph_reinfer(t->b.graph);
    TL_EACH_NODE(node, t->b.graph)
    for (size_t k = 0; k < node->n_out; k++)
        assert_true(tl_type_same(&before.v[i++], &node->out[k]->fact.type));
}

static void nothing_upsets_it(void **state)
{
    (void)state;
    uint64_t r = 1;
    for (int op = 0; op < TL_OP_COUNT; op++) {
        const tl_op_info *info = tl_op_get((tl_op)op);
        if (op == TL_OP_ret || op == TL_OP_poison || (info->traits & TL_TRAIT_GRAPHS))
            continue;
        bench t = {.cx = tl_context_create(NULL, NULL)};
        tl_arena_init(&t.arena, t.cx);
        t.m = tl_model_new(t.cx, &t.arena);
        t.b = tl_builder_at_end(tl_graph_new(t.m, TL_STR("main")));
        t.b.legal = 0;
        declare_symbols(&t);
        for (int round = 0; round < 300; round++) {
            tl_value *in[16];
            assert_true(info->in_max <= (int)TL_COUNT(in));
            size_t most = info->in_max == TL_MANY ? 3 : (size_t)info->in_max;
            size_t least = (size_t)info->in_min,
                   n_in = least + next_random(&r) % (most - least + 1);
            for (size_t i = 0; i < n_in; i++) {
                in[i] = odd_operand(&t, &r);
                in[i] = in[i] && in[i]->poison ? NULL : in[i];
            }
            tl_context_reset(t.cx);
            tl_node *node = tl_build_node(&t.b, (tl_op)op, in, n_in, odd_attrs(&t, (tl_op)op, &r),
                                          next_random(&r) % 4, NULL, 0);
            for (size_t i = 0; i < node->n_out; i++)
                check_result(&t, node->out[i]);
        }
        assert_int_not_equal(tl_context_status(t.cx), TL_BUG);
        check_again(&t);
        tl_arena_release(&t.arena);
        tl_context_destroy(t.cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_the_table_says),
        cmocka_unit_test(nothing_upsets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
