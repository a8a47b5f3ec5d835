"""What runs Manta on Kubernetes: a RayService manifest and the applications that it names."""
