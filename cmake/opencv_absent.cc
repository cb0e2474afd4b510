// What OpenCV's static library names and drawing never calls: LAPACK, BLAS and GLX. With these in their place a program
// links core and imgproc alone; the shared library would bring 50 packages (Mesa, LLVM, LAPACK, Fortran) into the
// server's image. Hidden, so that they stand in no other library's way.
//
// And OpenCV's threads: what it would share out among TBB's runs on the thread that draws. Its own setNumThreads(1)
// would start TBB to say so.
#include <cstdlib>
#include <memory>

#include <opencv2/core/parallel/parallel_backend.hpp>

#define SF_ABSENT(name) \
  extern "C" __attribute__((visibility("hidden"))) void name() { std::abort(); }

SF_ABSENT(cblas_sgemm)
SF_ABSENT(cblas_dgemm)
SF_ABSENT(cblas_cgemm)
SF_ABSENT(cblas_zgemm)
SF_ABSENT(sgels_)
SF_ABSENT(dgels_)
SF_ABSENT(sgesdd_)
SF_ABSENT(dgesdd_)
SF_ABSENT(sgesv_)
SF_ABSENT(dgesv_)
SF_ABSENT(sgeqrf_)
SF_ABSENT(dgeqrf_)
SF_ABSENT(sgetrf_)
SF_ABSENT(dgetrf_)
SF_ABSENT(sposv_)
SF_ABSENT(dposv_)
SF_ABSENT(spotrf_)
SF_ABSENT(dpotrf_)
SF_ABSENT(glXGetCurrentContext)
SF_ABSENT(glXGetCurrentDisplay)
SF_ABSENT(glXGetProcAddressARB)

namespace {

class CallingThread : public cv::parallel::ParallelForAPI {
 public:
  void parallel_for(int tasks, FN_parallel_for_body_cb_t body_callback, void* callback_data) override {
    body_callback(0, tasks, callback_data);
  }
  int getThreadNum() const override { return 0; }
  int getNumThreads() const override { return 1; }
  int setNumThreads(int) override { return 1; }
  const char* getName() const override { return "calling thread"; }
};

// This file is linked for the names above, so this runs wherever OpenCV is linked.
[[maybe_unused]] const bool kSet =
    (cv::parallel::setParallelForBackend(std::make_shared<CallingThread>(), false), true);

}  // namespace
