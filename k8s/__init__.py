"""What runs Manta on Kubernetes: a RayService manifest and the two applications that it names."""
